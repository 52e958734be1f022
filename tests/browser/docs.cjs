// Uses the documentation page as a person does. Takes the path of the browser, and on standard input the output of
// `muster dev --json`.
'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { chromium } = require('playwright-core');
const { looks } = require('./looks.cjs');
const { deployed, everyOperation, underPrefix } = require('./operations.cjs');
const { documented, execute, open, opened } = require('./page.cjs');

const stack = JSON.parse(readFileSync(0, 'utf8'));

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

/** Executes an operation of /v1/teams, with or without a body. Returns the status and the body that the page shows. */
async function call(page, method, body) {
  const operation = await opened(page, { method, path: '/v1/teams' });
  if (body !== undefined) await operation.locator('textarea').fill(JSON.stringify(body));
  const response = await execute(page, method, operation);
  return { status: response.status, body: JSON.parse(response.body) };
}

/**
 * Reads a contract on a page that gets no demo key. Enters a key, and lists and creates teams with the page.
 */
async function walk(browser, { contract, label, key, teams, team }) {
  const { page, errors } = await open(browser, stack, {}, {
    [`${stack.url}/_dev/demo`]: (route) => route.fulfill({ status: 204 }),
  });
  await page.goto(`${stack.url}/docs`);
  await page.getByRole('navigation').getByRole('link', { name: label }).click();
  assert.equal(await page.locator('[aria-current]').innerText(), label);
  assert.equal(await page.title(), `${label} – Muster API`);
  const operations = (await documented(stack, contract)).map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  assert.deepEqual((await shown(page)).sort(), operations.sort());

  await authorize(page, key);
  const name = `From the page of ${label}`;
  const before = await call(page, 'get');
  assert.deepEqual([before.status, teams(before.body).includes(name)], [200, false]);
  const created = await call(page, 'post', { name });
  assert.deepEqual([created.status, team(created.body).name], [201, name]);
  const after = await call(page, 'get');
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
  const { page, errors } = await open(browser, stack);
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
  const { page, errors } = await open(browser, stack, { javaScriptEnabled: false });
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
    await deployed(browser, stack);
    await underPrefix(browser, stack);
    for (const contract of ['itsm', 'toptickets']) {
      await looks(browser, stack, contract);
      await everyOperation(browser, stack, { contract, key: stack.demo.keys[contract].admin });
    }
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error('browser:', error);
  process.exit(1);
});
