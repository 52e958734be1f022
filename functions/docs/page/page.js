'use strict';

// Shows the contract of the query parameter, or ITSM by default, as /openapi.json does.
const named = new URLSearchParams(location.search).get('contract');
const contract = named === 'toptickets' ? named : 'itsm';

const link = document.querySelector(`nav a[href$="=${contract}"]`);
link.setAttribute('aria-current', 'page');
document.title = `${link.textContent} – Muster API`;

SwaggerUIBundle({
  // A relative URL works under any prefix of the page's own URL.
  url: `openapi.json?contract=${contract}`,
  dom_id: '#operations',
  deepLinking: true,
  tryItOutEnabled: true,
  // The page does not store the key.
  persistAuthorization: false,
  // No request goes to the public validator of Swagger.
  validatorUrl: null,
});
