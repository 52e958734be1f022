// Executes every operation of the page in the order of the document, and checks and runs the code samples.
'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { open, documented, opened, execute } = require('./page.cjs');

const run = promisify(execFile);

/** Returns the code samples of an operation that is open, by language. */
async function samplesOf(operation) {
  const samples = {};
  for (const language of ['curl', 'Python', 'TypeScript']) {
    await operation.locator('.languages button', { hasText: language }).click();
    samples[language] = await operation.locator('.samples pre').innerText();
  }
  return samples;
}

/** Runs a code sample as a reader does. Returns the status, or the output of a program that checks it. */
async function runSample(language, sample, key) {
  const env = { ...process.env, MUSTER_KEY: key };
  if (language === 'TypeScript') {
    return (await run('node', ['--input-type=module', '--eval', sample], { env })).stdout;
  }
  const command = sample.replace(/^curl /u, "curl -sS -o /dev/null -w '%{http_code}' ");
  return Number((await run('bash', ['-c', command], { env })).stdout);
}

/**
 * Opens a contract's page in a local stack, which fills in the demo key, and executes every operation with the values
 * that the page fills in. Each succeeds with its documented status.
 */
async function everyOperation(browser, stack, { contract, key }) {
  const { page, errors } = await open(browser, stack, { viewport: { width: 1440, height: 900 } });
  await page.goto(`${stack.url}/docs?contract=${contract}`);
  await page.getByText(`Authorized with the demo key of ${stack.demo.organization_id}`).waitFor();
  const python = [];
  const operations = await documented(stack, contract);
  for (const documentedOperation of operations) {
    const { method, path, expected } = documentedOperation;
    const name = `${contract}: ${method} ${path}`;
    const operation = await opened(page, documentedOperation);
    const samples = await samplesOf(operation);
    for (const [language, sample] of Object.entries(samples)) {
      assert.ok(sample.includes(`${stack.url}/v1/`), `${name}: ${language} has the reader's base URL: ${sample}`);
      assert.doesNotMatch(sample, /\/\{\w+\}/u, `${name}: ${language} has a value for each parameter`);
      assert.ok(sample.includes('MUSTER_KEY'), `${name}: ${language} reads the credential: ${sample}`);
    }
    python.push(samples.Python);
    // A request that changes no state can run before Execute.
    if (method === 'get') {
      assert.equal(await runSample('curl', samples.curl, key), expected, `${name}: ${samples.curl}`);
    }
    const { status, body } = await execute(page, method, operation);
    assert.equal(status, expected, `${name}: ${body}`);
    if (method === 'patch') {
      assert.equal(await runSample('curl', samples.curl, key), expected, `${name}: ${samples.curl}`);
      const written = await runSample('TypeScript', samples.TypeScript, key);
      assert.ok(written.includes('updated_at') || written.includes('role'), `${name}: ${written}`);
    }
    // Closed operations keep the page small.
    await operation.locator('.opblock-summary-control').click();
  }
  for (const sample of python) await run('python3', ['-c', 'import ast, sys; ast.parse(sys.argv[1])', sample]);
  assert.ok(!(await page.content()).includes(key), 'the page does not show the key');
  assert.deepEqual(errors, []);
  await page.context().close();
  console.log(`browser: ${contract}: ${operations.length} operations executed with their examples`);
}

/** Serves the page under a prefix, as a stage of API Gateway does. Requests and samples have the prefix. */
async function underPrefix(browser, stack) {
  const requested = [];
  const base = `${stack.url}/stage`;
  const { page, errors } = await open(browser, stack, {}, {
    [`${base}/`]: async (route, path) => {
      requested.push(path);
      return route.fulfill({ response: await route.fetch({ url: `${stack.url}/${path}` }) });
    },
  });
  await page.goto(`${base}/docs`);
  const operation = await opened(page, { method: 'get', path: '/v1/teams' });
  assert.equal(await page.locator('.base-url code').innerText(), base);
  assert.match(await operation.locator('.samples pre').innerText(), /^curl '[^']*\/stage\/v1\/teams[?']/u);
  await page.locator('.credential', { hasText: 'demo key' }).waitFor();
  assert.equal((await execute(page, 'get', operation)).status, 200);
  assert.ok(requested.some((path) => path.startsWith('v1/teams')), requested.join(' '));
  assert.deepEqual(errors, []);
  await page.context().close();
  console.log('browser: under a prefix, the page uses the prefix');
}

/** Serves the page under another host name, as a deployed API. The page asks for no demo key. */
async function deployed(browser, stack) {
  const requested = [];
  const origin = 'http://muster.example';
  const { page, errors } = await open(browser, stack, {}, {
    [`${origin}/`]: async (route, path) => {
      requested.push(path);
      return route.fulfill({ response: await route.fetch({ url: `${stack.url}/${path}` }) });
    },
  });
  await page.goto(`${origin}/docs`);
  await page.locator('.opblock').first().waitFor();
  await page.getByText('No credential yet').waitFor();
  assert.equal(await page.locator('.base-url code').innerText(), origin);
  assert.deepEqual(requested, ['docs', 'openapi.json?contract=itsm']);
  assert.deepEqual(errors, []);
  await page.context().close();
  console.log('browser: a deployed page asks for no demo key');
}

module.exports = { everyOperation, underPrefix, deployed };
