// Parses and renders each Mermaid diagram of the repository's Markdown files. Takes the path of the browser.
'use strict';

const assert = require('node:assert/strict');
const { readFileSync, readdirSync } = require('node:fs');
const { join } = require('node:path');
const { chromium } = require('playwright-core');

// Folders of build outputs and of installed packages. Hidden folders are left out as well.
const OUTPUTS = ['target', 'node_modules'];

/** The paths of all Markdown files below a folder. */
function pages(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name.startsWith('.') || OUTPUTS.includes(entry.name) ? [] : pages(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** The Mermaid blocks of a page, each with the number of its first line. */
function diagrams(path) {
  const found = [];
  let block;
  readFileSync(path, 'utf8').split(/\r?\n/).forEach((line, index) => {
    const fence = /^\s*(`{3,}|~{3,})\s*(\S*)/.exec(line);
    if (block === undefined) {
      if (fence) block = { place: `${path}:${index + 2}`, language: fence[2], fence: fence[1], lines: [] };
    } else if (fence && fence[2] === '' && fence[1].startsWith(block.fence)) {
      if (block.language === 'mermaid') found.push({ place: block.place, text: block.lines.join('\n') });
      block = undefined;
    } else {
      block.lines.push(line);
    }
  });
  assert.equal(block, undefined, `${path}: a code block does not end`);
  return found;
}

/** Returns the error of a diagram, or null. */
function check(page, text) {
  return page.evaluate(async (diagram) => {
    try {
      await mermaid.parse(diagram);
      const { svg } = await mermaid.render('diagram', diagram);
      return svg.includes('<svg') ? null : 'the result is not an SVG image';
    } catch (error) {
      return String(error.message ?? error);
    }
  }, text);
}

(async () => {
  const all = pages('.').flatMap(diagrams);
  assert.ok(all.length > 0, 'no page has a diagram');
  const browser = await chromium.launch({ executablePath: process.argv[2] });
  try {
    const page = await browser.newPage();
    await page.setContent('<!doctype html><title>Diagrams</title>');
    await page.addScriptTag({ path: require.resolve('@mermaid-js/tiny') });
    await page.evaluate(() => mermaid.initialize({ startOnLoad: false, securityLevel: 'strict' }));
    assert.notEqual(await check(page, 'flowchart LR\n  a --> '), null, 'an incomplete diagram is accepted');
    const faults = [];
    for (const { place, text } of all) {
      const fault = await check(page, text);
      if (fault !== null) faults.push(`${place}: ${fault}`);
    }
    assert.deepEqual(faults, [], 'each diagram renders');
    console.log(`browser: ${all.length} diagrams of the Markdown files rendered`);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error('browser:', error);
  process.exit(1);
});
