'use strict';

// Renders a request as a code sample. A request is `{ method, url, headers, body, hasResult }`: `headers` is a list of
// pairs, `body` a text or undefined, and `hasResult` says that a successful response has a body. The credential is never
// part of a sample: the sample reads it from the environment.
const codeSamples = (() => {
  const VARIABLE = 'MUSTER_KEY';

  /** Returns the value of a JSON text, or undefined for another text. */
  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  /** Quotes a text for a POSIX shell. */
  function quoted(text) {
    return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  }

  function curl({ method, url, headers, body }) {
    return [
      method === 'GET' ? `curl ${quoted(url)}` : `curl -X ${method} ${quoted(url)}`,
      `-H "Authorization: Bearer $${VARIABLE}"`,
      ...headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
      ...(body === undefined ? [] : [`--data-raw ${quoted(body)}`]),
    ].join(' \\\n  ');
  }

  /** Returns a JSON value as a Python expression. */
  function pythonValue(value, indent) {
    if (value === null) return 'None';
    if (typeof value === 'boolean') return value ? 'True' : 'False';
    if (typeof value !== 'object') return JSON.stringify(value);
    const list = Array.isArray(value);
    const inner = `${indent}    `;
    const items = list
      ? value.map((item) => pythonValue(item, inner))
      : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonValue(item, inner)}`);
    const [open, close] = list ? '[]' : '{}';
    const line = `${open}${items.join(', ')}${close}`;
    if (items.length === 0 || (list && line.length < 60 && !line.includes('\n'))) return line;
    return `${open}\n${items.map((item) => `${inner}${item},\n`).join('')}${indent}${close}`;
  }

  function python({ method, url, headers, body, hasResult }) {
    const value = body === undefined ? undefined : parsed(body);
    // `json=` sends the content type.
    const sent = headers.filter(([name]) => value === undefined || name !== 'Content-Type');
    const lines = [
      'import os',
      '',
      'import requests',
      '',
      `response = requests.${method.toLowerCase()}(`,
      `    ${JSON.stringify(url)},`,
      '    headers={',
      `        "Authorization": f"Bearer {os.environ['${VARIABLE}']}",`,
      ...sent.map(([name, text]) => `        ${JSON.stringify(name)}: ${JSON.stringify(text)},`),
      '    },',
    ];
    if (value !== undefined) lines.push(`    json=${pythonValue(value, '    ')},`);
    else if (body !== undefined) lines.push(`    data=${JSON.stringify(body)}.encode(),`);
    lines.push(')', 'response.raise_for_status()');
    lines.push(hasResult ? 'print(response.json())' : 'print(response.status_code)');
    return lines.join('\n');
  }

  function typescript({ method, url, headers, body, hasResult }) {
    const lines = [`const response = await fetch(${JSON.stringify(url)}, {`];
    if (method !== 'GET') lines.push(`  method: ${JSON.stringify(method)},`);
    lines.push(
      '  headers: {',
      `    Authorization: \`Bearer \${process.env.${VARIABLE}}\`,`,
      ...headers.map(([name, text]) => `    ${JSON.stringify(name)}: ${JSON.stringify(text)},`),
      '  },',
    );
    if (body !== undefined) {
      const value = parsed(body);
      const text = value === undefined
        ? JSON.stringify(body)
        : `JSON.stringify(${JSON.stringify(value, null, 2).replaceAll('\n', '\n  ')})`;
      lines.push(`  body: ${text},`);
    }
    lines.push(
      '});',
      'if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);',
      hasResult ? 'console.log(await response.json());' : 'console.log(response.status);',
    );
    return lines.join('\n');
  }

  const TOKEN = new RegExp([
    /(?<name>"(?:\\.|[^"\\\n])*"(?=:))/u,
    /(?<string>f?"(?:\\.|[^"\\\n])*"|'[^']*'|`[^`]*`)/u,
    /(?<keyword>\b(?:await|const|curl|if|import|new|throw|None|True|False|null|true|false)\b)/u,
    /(?<option>(?<=\s)--?[A-Za-z][A-Za-z-]*)/u,
    /(?<number>\b\d+(?:\.\d+)?\b)/u,
  ].map(({ source }) => source).join('|'), 'gu');

  /** The largest text that is split: the elements of a larger one would slow the browser down. */
  const MAXIMUM = 200_000;

  /** Splits code into pairs of a sort (name, string, keyword, option, number, or undefined) and a text. */
  function tokens(code) {
    if (code.length > MAXIMUM) return [[undefined, code]];
    const found = [];
    let end = 0;
    for (const match of code.matchAll(TOKEN)) {
      if (match.index > end) found.push([undefined, code.slice(end, match.index)]);
      const [sort] = Object.entries(match.groups).find(([, text]) => text !== undefined);
      found.push([sort, match[0]]);
      end = match.index + match[0].length;
    }
    if (end < code.length) found.push([undefined, code.slice(end)]);
    return found;
  }

  return {
    VARIABLE,
    quoted,
    tokens,
    languages: [
      { name: 'curl', render: curl },
      { name: 'Python', render: python },
      { name: 'TypeScript', render: typescript },
    ],
  };
})();
