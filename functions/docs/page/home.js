'use strict';

const element = (id) => document.getElementById(id);

// A relative URL works under any prefix of the page's own URL.
const base = new URL('.', location.href).href.replace(/\/$/, '');
const isLoopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(location.hostname);

/** Returns a button that copies the text of `read()`. */
function copyButton(name, read) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', `Copy ${name}`);
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(read());
    button.textContent = 'Copied';
    element('announcement').textContent = `Copied ${name}`;
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 2000);
  });
  return button;
}

/** Returns the lines as one command of a shell. */
const command = (...lines) => lines.join(' \\\n  ');

/** Shows the requests of the selected contract, with the demo organization's values if there are any. */
function showRequests(demo) {
  const contract = document.querySelector('[name=contract]:checked').value;
  const key = demo ? demo.keys[contract].admin : '$KEY';
  const quote = demo ? '\'' : '"';
  const authorization = `-H ${quote}Authorization: Bearer ${key}${quote}`;
  const json = '-H \'Content-Type: application/json\'';
  element('list').textContent = command(`curl '${base}/v1/teams'`, authorization);

  const user = demo?.users.find(({ status }) => status === 'active');
  const team = { name: 'Network' };
  if (user && contract === 'itsm') team.lead_id = `usr_${user.id}`;
  element('change-title').textContent = team.lead_id ? `Create a team that ${user.name} leads` : 'Create a team';
  element('change').textContent = command(
    `curl '${base}/v1/teams'`, authorization, json, `-d '${JSON.stringify(team)}'`);
  element('hint').hidden = Boolean(demo);
}

/** Adds a row with a name, a note, and an id or key that can be copied. */
function addRow(list, name, note, text) {
  const row = document.createElement('li');
  const label = document.createElement('span');
  label.textContent = name;
  if (note) {
    const remark = document.createElement('em');
    remark.className = 'note';
    remark.textContent = note;
    label.append(remark);
  }
  const code = document.createElement('code');
  code.textContent = text;
  row.append(label, code);
  if (navigator.clipboard) row.append(copyButton(name, () => text));
  list.append(row);
}

/** Shows the demo organization of a local stack. */
function showDemo({ organization_id: organization, keys, users, teams, tickets }) {
  element('organization').textContent = organization;
  for (const [contract, label] of [['itsm', 'ITSM'], ['toptickets', 'TopTickets']]) {
    addRow(element('keys'), `${label}, admin`, 'all scopes', keys[contract].admin);
    addRow(element('keys'), `${label}, read-only`, 'teams:read', keys[contract].read_only);
  }
  for (const { name, status, id } of users) {
    addRow(element('users'), name, status === 'active' ? '' : status, id);
  }
  for (const { name, id } of teams) addRow(element('teams'), name, '', id);
  for (const { id, state } of tickets) addRow(element('tickets'), state, '', id);
  for (const list of ['teams', 'tickets']) {
    const isEmpty = element(list).childElementCount === 0;
    element(list).hidden = isEmpty;
    element(list).previousElementSibling.hidden = isEmpty;
  }
  element('demo').hidden = false;
}

/** Returns the JSON of a successful response, or undefined. */
async function read(url) {
  try {
    const response = await fetch(url, { cache: 'no-store' });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

async function start() {
  element('contracts').hidden = false;
  if (navigator.clipboard) {
    for (const id of ['list', 'change']) {
      element(id).closest('.sample').append(copyButton('the request', () => element(id).textContent));
    }
  }
  let demo;
  showRequests();
  element('contracts').addEventListener('change', () => showRequests(demo));
  element('hint').textContent = '$KEY is an API key, which the operator creates.';

  // Only a local stack has this route, and it responds only to its own machine.
  const [health, found] = await Promise.all([read('health'), isLoopback ? read('_dev/demo') : undefined]);
  if (health) {
    element('status').textContent = `Version ${health.version} (${health.commit.slice(0, 12)})`;
    element('status').hidden = false;
  }
  if (found) {
    demo = found;
    showDemo(demo);
    showRequests(demo);
  }
}

start();
