// The documentation page in a browser: opens it, and uses its controls as a person does.
'use strict';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/**
 * Opens a page that can reach only the stack. Returns it with a list that receives its errors. `respond` maps URLs to
 * responses that do not come from the stack.
 */
async function open(browser, stack, options = {}, respond = {}) {
  const context = await browser.newContext(options);
  const errors = [];
  await context.route('**/*', (route) => {
    const url = new URL(route.request().url());
    const found = Object.entries(respond).find(([prefix]) => url.href.startsWith(prefix));
    if (found !== undefined) return found[1](route, url.href.slice(found[0].length));
    if (url.origin === stack.url) return route.continue();
    errors.push(`asked for ${url}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('websocket', (socket) => errors.push(`opened ${socket.url()}`));
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  return { page, errors };
}

/** Returns the operations of a contract's document, in its order. `expected` is the status of a success. */
async function documented(stack, contract) {
  const response = await fetch(`${stack.url}/openapi.json?contract=${contract}`);
  const { paths } = await response.json();
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).map((method) => ({
      method,
      path,
      expected: Number(Object.keys(item[method].responses).find((status) => status.startsWith('2'))),
    })));
}

/** Returns the element of an operation, after opening it. */
async function opened(page, { method, path }) {
  const operation = page.locator(`.opblock-${method}`, { has: page.locator(`[data-path="${path}"]`) });
  if (!(await operation.getAttribute('class')).includes('is-open')) {
    await operation.locator('.opblock-summary-control').click();
  }
  await operation.locator('.execute').waitFor();
  return operation;
}

/** Executes an operation that is open. Returns the status and the text of the body that the page shows. */
async function execute(page, method, operation) {
  const awaited = page.waitForResponse((received) => received.request().method() === method.toUpperCase());
  await operation.locator('.execute').click();
  const requestId = (await awaited).headers()['x-request-id'];
  const response = operation.locator('.live-responses-table', { hasText: requestId });
  const status = await response.locator('.response .response-col_status').innerText();
  const body = response.locator('.code-block code');
  return { status: Number.parseInt(status, 10), body: (await body.count()) > 0 ? await body.first().innerText() : '' };
}

module.exports = { open, documented, opened, execute };
