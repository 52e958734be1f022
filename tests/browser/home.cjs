// Uses the start page as a person does. Takes the path of the browser, and on standard input the output of
// `muster dev --json`. With SCREENSHOTS, writes an image of each form of the page to that folder.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { chromium } = require('playwright-core');

const stack = JSON.parse(readFileSync(0, 'utf8'));
const greeted = stack.demo ?? stack;
const WIDTHS = [390, 1440];
const CONTRACTS = [['ITSM', 'itsm'], ['TopTickets', 'toptickets']];

/** Opens the page. Returns it with a list that receives its errors: it may reach only its own origin. */
async function open(browser, options, url = stack.url) {
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], ...options });
  const errors = [];
  await context.route('**/*', (route) => {
    if (new URL(route.request().url()).origin === new URL(url).origin) return route.continue();
    errors.push(`asked for ${route.request().url()}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(url);
  return { page, errors };
}

/** Checks the greeting in one theme at one width: nothing is wider than the window. */
async function greeting(browser, colorScheme, width) {
  const { page, errors } = await open(browser, { colorScheme, viewport: { width, height: 900 } });
  await page.locator('#demo').waitFor();
  await page.locator('#status').waitFor();
  assert.match(await page.locator('#status').innerText(), /^Version \d+\.\d+\.\d+ \(.+\)$/);
  const text = await page.locator('#demo').innerText();
  for (const [, contract] of CONTRACTS) {
    const { admin, read_only: readOnly } = greeted.keys[contract];
    assert.ok(text.includes(admin) && text.includes(readOnly), contract);
  }
  for (const { id, name } of greeted.users) assert.ok(text.includes(id) && text.includes(name), name);
  const wide = await page.evaluate(() => [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth || element.scrollWidth > innerWidth)
    .map((element) => element.outerHTML.slice(0, 80)));
  assert.deepEqual(wide, [], `${colorScheme}, ${width}`);
  const [scroll, dark] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    getComputedStyle(document.body).backgroundColor.match(/\d+/g).every((part) => part < 128),
  ]);
  assert.deepEqual([scroll, dark], [width, colorScheme === 'dark']);
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/home-${colorScheme}-${width}.png`, fullPage: true });
  assert.deepEqual(errors, []);
  await page.context().close();
}

/** Copies each request of the page, and runs it in a shell. */
async function requests(browser) {
  const { page, errors } = await open(browser, {});
  await page.locator('#demo').waitFor();
  for (const [label, contract] of CONTRACTS) {
    await page.locator('label', { hasText: label }).click();
    const [list, change] = await page.locator('.sample').all();
    for (const [sample, status] of [[list, '200'], [change, '201']]) {
      await sample.getByRole('button').click();
      let command = await page.evaluate(() => navigator.clipboard.readText());
      assert.equal(command, await sample.locator('code').innerText());
      assert.ok(command.includes(`Bearer ${greeted.keys[contract].admin}'`), command);
      assert.ok(contract !== 'itsm' || status !== '201' || greeted.users.some(({ id }) => command.includes(id)), command);
      // Each contract creates a team of its own.
      command = command.replace('"Network"', `"From the start page, ${label}"`);
      const answer = execFileSync('sh', ['-c', `${command} --silent --write-out '\n%{http_code}'`], { encoding: 'utf8' });
      assert.equal(answer.trim().split('\n').at(-1), status, answer);
    }
  }
  const keys = page.locator('#keys li');
  assert.equal(await keys.count(), 4);
  await keys.first().getByRole('button').click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), greeted.keys.itsm.admin);
  await page.locator('#announcement', { hasText: 'Copied' }).waitFor({ state: 'attached' });
  await page.getByRole('link', { name: 'API reference' }).click();
  assert.match(page.url(), /\/docs$/);
  assert.deepEqual(errors, []);
  await page.context().close();
}

/** Under a name of another machine, the page asks for no keys and greets without them. */
async function elsewhere(browser) {
  const url = stack.url.replace('127.0.0.1', 'desk.example');
  const { page, errors } = await open(browser, {}, url);
  await page.locator('#status').waitFor();
  const asked = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname));
  assert.deepEqual(asked, ['/health']);
  assert.equal(await page.locator('#demo').isVisible(), false);
  assert.match(await page.locator('#list').innerText(), /Bearer \$KEY"/);
  assert.deepEqual(errors, []);
  await page.context().close();
}

async function withoutScripts(browser) {
  const { page, errors } = await open(browser, { javaScriptEnabled: false });
  assert.match(await page.locator('#start').innerText(), /curl "\$MUSTER\/v1\/teams"/);
  await page.getByRole('link', { name: 'OpenAPI: TopTickets' }).click();
  assert.match(await page.locator('body').innerText(), /"openapi": ?"3\.1\./);
  assert.deepEqual(errors, []);
  await page.context().close();
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.argv[2],
    // No other host name resolves.
    args: ['--host-resolver-rules=MAP desk.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  });
  try {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of WIDTHS) await greeting(browser, colorScheme, width);
    }
    await requests(browser);
    await elsewhere(browser);
    await withoutScripts(browser);
    console.log('browser: the start page greets with the demo keys on this machine only, and its requests succeed');
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error('browser:', error);
  process.exit(1);
});
