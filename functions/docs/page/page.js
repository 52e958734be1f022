'use strict';

// Shows the contract of the query parameter, or ITSM by default, as /openapi.json does.
const named = new URLSearchParams(location.search).get('contract');
const contract = named === 'toptickets' ? named : 'itsm';

const link = document.querySelector(`nav a[href$="=${contract}"]`);
link.setAttribute('aria-current', 'page');
document.title = `${link.textContent} – Muster API`;
document.getElementById('document').href = `openapi.json?contract=${contract}`;

/**
 * Authorizes with the demo key of a local stack. Only a stack on the reader's own machine serves the key, so no other
 * host is asked.
 */
async function authorizeLocally(ui) {
  if (!/^(localhost|127(\.\d+){3}|\[::1\])$/u.test(location.hostname)) return;
  const response = await fetch('_dev/demo').catch(() => null);
  if (response?.status !== 200) return;
  const demo = await response.json();
  const key = demo.keys[contract].admin;
  ui.preauthorizeApiKey('apiKey', key);
  ui.viewerActions.setDemo(demo.organization_id, key);
}

const ui = SwaggerUIBundle({
  // A relative URL works under any prefix of the page's own URL.
  url: `openapi.json?contract=${contract}`,
  dom_id: '#operations',
  layout: 'MusterLayout',
  plugins: [musterViewer(new URL('.', location.href).href.slice(0, -1))],
  deepLinking: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  // The page does not store the key.
  persistAuthorization: false,
  // No request goes to the public validator of Swagger.
  validatorUrl: null,
  onComplete: () => authorizeLocally(ui),
});
