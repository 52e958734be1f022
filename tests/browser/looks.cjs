// Checks the looks of the documentation page: sizes, themes, contrast, and the parts that are folded.
'use strict';

const assert = require('node:assert/strict');
const axe = require('axe-core');
const { open, opened, execute } = require('./page.cjs');

const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };

/** Returns the elements that are wider than the page, in the form of tag and class. */
function overflowing(page) {
  return page.evaluate(() => {
    if (document.documentElement.scrollWidth <= window.innerWidth) return [];
    return [...document.querySelectorAll('body *')]
      .filter((element) => element.getBoundingClientRect().right > window.innerWidth)
      .map((element) => `${element.tagName} ${element.className}`);
  });
}

/** Returns the texts whose contrast is below that of WCAG 2 AA. */
async function faint(page) {
  const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ['color-contrast'] }));
  return violations.flatMap(({ nodes }) => nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`));
}

/** The first screen has the button of the credential, all operations in one line each, and no prose. */
async function essentials(page) {
  const { width, height } = WIDE;
  await page.setViewportSize(WIDE);
  const bottoms = await page.locator('.opblock-summary, .btn.authorize').evaluateAll((elements) =>
    elements.map((element) => element.getBoundingClientRect().bottom));
  assert.ok(bottoms.length > 10 && Math.max(...bottoms) <= height, `at ${width} pixels: ${bottoms}`);
  assert.equal(await page.locator('.guide-section, .errors, .model-box, .responses-table').count(), 0);
}

/** Opens everything that a reader can open in two operations, the guide and the schemas. */
async function unfold(page, contract) {
  const list = await opened(page, { method: 'get', path: '/v1/teams' });
  assert.equal((await execute(page, 'get', list)).status, 200);
  assert.ok(!(await list.innerText()).includes('Links'), 'no column of links');
  assert.equal(await list.locator('.errors .documented').count(), 0, 'errors are folded');
  const update = await opened(page, { method: 'patch', path: '/v1/teams/{team_id}' });
  await update.locator('.tablinks', { hasText: 'Schema' }).first().click();
  await update.locator('.errors > summary').click();
  await update.locator('.errors .documented > summary').first().click();
  await update.locator('.errors .code-block').first().waitFor();
  await page.locator('.guide-titles button', { hasText: 'Authentication' }).click();
  if (contract === 'toptickets') await page.locator('.guide-section table').waitFor();
  await page.locator('.models-control').click();
  await page.locator('.models .json-schema-2020-12-accordion').first().click();
}

/** Looks at the page of a contract in both sizes and themes. */
async function looks(browser, stack, contract) {
  const { page, errors } = await open(browser, stack, { viewport: WIDE });
  await page.goto(`${stack.url}/docs?contract=${contract}`);
  await page.locator('.opblock').first().waitFor();
  await page.locator('.credential', { hasText: 'demo key' }).waitFor();
  await essentials(page);
  await unfold(page, contract);
  await page.evaluate(axe.source);
  const backgrounds = new Set();
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const viewport of [WIDE, NARROW]) {
      await page.setViewportSize(viewport);
      assert.deepEqual(await overflowing(page), [], `${contract}, ${colorScheme}, ${viewport.width} pixels`);
    }
    await page.setViewportSize(WIDE);
    assert.deepEqual(await faint(page), [], `${contract}, ${colorScheme}`);
    await page.locator('.toolbar .authorize').click();
    await page.setViewportSize(NARROW);
    assert.deepEqual(await overflowing(page), [], `${contract}, ${colorScheme}, the dialog`);
    await page.locator('.close-modal').click();
    backgrounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  }
  assert.equal(backgrounds.size, 2, 'two themes');
  assert.deepEqual(errors, []);
  await page.context().close();
  console.log(`browser: ${contract}: no overflow and good contrast in both sizes and themes`);
}

module.exports = { looks };
