'use strict';

// The contract that the address names is shown, ITSM where it names none, as /openapi.json does.
const named = new URLSearchParams(location.search).get('contract');
const contract = named === 'toptickets' ? named : 'itsm';

const link = document.querySelector(`nav a[href$="=${contract}"]`);
link.setAttribute('aria-current', 'page');
document.title = `${link.textContent} – Muster API`;

SwaggerUIBundle({
  // Relative, so that it is found under any prefix that the page itself is served under.
  url: `openapi.json?contract=${contract}`,
  dom_id: '#operations',
  deepLinking: true,
  tryItOutEnabled: true,
  // A key is pasted into the page, and gone with it.
  persistAuthorization: false,
  // Nothing is sent anywhere else.
  validatorUrl: null,
});
