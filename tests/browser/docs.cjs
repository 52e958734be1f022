// Uses the documentation page as a person does. Takes the path of the browser, and on standard input the output of
// `muster dev --json`.
'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { chromium } = require('playwright-core');

const stack = JSON.parse(readFileSync(0, 'utf8'));

/** Opens a page that can reach only the stack. Returns it with a list that receives its errors. */
async function open(browser, options) {
  const context = await browser.newContext(options);
  const errors = [];
  await context.route('**/*', (route) => {
    if (new URL(route.request().url()).origin === stack.url) return route.continue();
    errors.push(`asked for ${route.request().url()}`);
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

/** Returns the operations of a contract's document, in the form of the page. */
async function documented(contract) {
  const response = await fetch(`${stack.url}/openapi.json?contract=${contract}`);
  const { paths } = await response.json();
  const methods = ['get', 'post', 'put', 'patch', 'delete'];
  return Object.entries(paths).flatMap(([path, item]) =>
    methods.filter((method) => method in item).map((method) => `${method.toUpperCase()} ${path}`));
}

/** Returns the operations that the page shows. */
async function shown(page) {
  await page.locator('.opblock').first().waitFor();
  return page.locator('.opblock').evaluateAll((operations) => operations.map((operation) => {
    const path = operation.querySelector('.opblock-summary-path').dataset.path;
    return `${operation.querySelector('.opblock-summary-method').textContent} ${path}`;
  }));
}

async function authorize(page, key) {
  await page.locator('.auth-wrapper .btn.authorize').click();
  const apiKey = page.locator('.auth-container', { hasText: 'apiKey' });
  await apiKey.locator('input').fill(key);
  await apiKey.locator('.btn.authorize').click();
  await apiKey.locator('.btn-done').click();
}

/** Executes an operation, with or without a body. Returns the status and the body that the page shows. */
async function execute(page, method, path, body) {
  const operation = page.locator(`.opblock-${method}`, { has: page.locator(`[data-path="${path}"]`) });
  if (!(await operation.getAttribute('class')).includes('is-open')) {
    await operation.locator('.opblock-summary-control').click();
  }
  if (body !== undefined) await operation.locator('textarea').fill(JSON.stringify(body));
  const awaited = page.waitForResponse((received) => received.request().method() === method.toUpperCase());
  await operation.locator('.execute').click();
  const requestId = (await awaited).headers()['x-request-id'];
  const response = operation.locator('.live-responses-table', { hasText: requestId });
  const status = await response.locator('.response .response-col_status').innerText();
  return { status: Number.parseInt(status, 10), body: JSON.parse(await response.locator('code').first().innerText()) };
}

/** Reads a contract on the page, and lists and creates teams with the page. */
async function walk(browser, { contract, label, key, teams, team }) {
  const { page, errors } = await open(browser);
  await page.goto(`${stack.url}/docs`);
  await page.getByRole('navigation').getByRole('link', { name: label }).click();
  assert.equal(await page.locator('[aria-current]').innerText(), label);
  assert.equal(await page.title(), `${label} – Muster API`);
  const operations = await documented(contract);
  assert.deepEqual((await shown(page)).sort(), operations.sort());

  await authorize(page, key);
  const name = `From the page of ${label}`;
  const before = await execute(page, 'get', '/v1/teams');
  assert.deepEqual([before.status, teams(before.body).includes(name)], [200, false]);
  const created = await execute(page, 'post', '/v1/teams', { name });
  assert.deepEqual([created.status, team(created.body).name], [201, name]);
  const after = await execute(page, 'get', '/v1/teams');
  assert.deepEqual([after.status, teams(after.body).includes(name)], [200, true]);

  await page.reload();
  await page.locator('.auth-wrapper .btn.authorize.unlocked').waitFor();
  const stored = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  assert.deepEqual(stored, [0, 0, ''], 'the page stores no key');
  assert.deepEqual(errors, []);
  await page.context().close();
  console.log(`browser: ${label}: ${operations.length} operations shown, teams listed and created`);
}

/** Checks the content security policy: an injected script does not run, and no request leaves the stack. */
async function confined(browser) {
  const { page, errors } = await open(browser);
  await page.goto(`${stack.url}/docs`);
  const [ran, sent] = await page.evaluate(async () => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.body.append(script);
    return [window.ran === true, await fetch('https://elsewhere.example/').then(() => true, () => false)];
  });
  assert.deepEqual([ran, sent], [false, false]);
  assert.ok(errors.length >= 2 && errors.every((text) => text.includes('Content Security Policy')), errors.join('\n'));
  await page.context().close();
  console.log('browser: the policy blocks injected scripts and foreign addresses');
}

async function withoutScripts(browser) {
  const { page, errors } = await open(browser, { javaScriptEnabled: false });
  await page.goto(`${stack.url}/docs`);
  assert.match(await page.locator('body').innerText(), /Muster[^]*needs JavaScript/);
  await page.locator('p a', { hasText: 'TopTickets' }).click();
  assert.match(await page.locator('body').innerText(), /"openapi": ?"3\.1\./);
  assert.deepEqual(errors, []);
  await page.context().close();
  console.log('browser: without JavaScript, the page links to the documents');
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.argv[2],
    // No host name resolves.
    args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  });
  try {
    await walk(browser, {
      contract: 'itsm',
      label: 'ITSM',
      key: stack.keys.itsm.admin,
      teams: ({ data }) => data.map(({ name }) => name),
      team: ({ data }) => data,
    });
    await walk(browser, {
      contract: 'toptickets',
      label: 'TopTickets',
      key: stack.keys.toptickets.admin,
      teams: (list) => list.map(({ name }) => name),
      team: (created) => created,
    });
    await confined(browser);
    await withoutScripts(browser);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error('browser:', error);
  process.exit(1);
});
