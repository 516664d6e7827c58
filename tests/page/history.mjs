// What is tried against the page of the history.

import assert from 'node:assert/strict';
import { LOOKS, violations } from './browser.mjs';
import { keyboardStops } from './keyboard.mjs';
import { onPageOf } from './on-page.mjs';
import { Daemon, recorded } from './server.mjs';

const text = (page, selector) => page.$eval(selector, (node) => node.innerText.replaceAll('\u00a0', ' '));
const first = (page) => text(page, '#events-list li:first-child');

async function drawn(page) {
  await page.waitForFunction(() => document.getElementById('transitions-none').textContent !== 'Unknown yet.' || document.querySelector('.past') !== null);
  await page.waitForFunction(() => document.getElementById('link').dataset.state === 'live');
}

/** A check on the page of the history. */
function onHistory(check, { prepare, ...options } = {}) {
  const make = () => {
    const daemon = new Daemon(recorded('none'));
    prepare?.(daemon);
    return daemon;
  };
  return onPageOf({ make, path: 'history', drawn }, check, options);
}

/** Everything that there is, and what follows. */
async function story(page, daemon) {
  assert.equal(await page.locator('.past').count(), 7);
  assert.equal(await page.locator('#events-list > li').count(), 10);
  const latest = await text(page, '.past:first-child');
  for (const part of [/lp_stall/, /patching reversed/, /2026-11-25 00:48:23/, /2 min 11 s/, /Tasks left: 111, in the end 0, within 2 min 11 s/,
    /4 tasks that were left/, /Reversed by bash, thread 2301, uid 0, login uid 1000\./, /The check expected a stall; that came true\./]) {
    assert.match(latest, part);
  }
  const shown = await text(page, '#transitions-list');
  for (const part of [/Why: EINVAL \(22\); symbol 'lpwatch_no_such_function' not found/, /cancelled by the kernel/, /switched without a check/,
    /unknown patch/, /No daemon followed it/, /How many tasks were left over time is unknown/]) {
    assert.match(shown, part);
  }
  assert.doesNotMatch(await text(page, 'main'), /\bNaN\b|undefined|\bnull\b|Infinity|Invalid|reload/);
  assert.match(await first(page), /2026-11-25 00:48:23\s+warning\s+Enabling lp_stall was reversed/);

  daemon.history.transitions.unshift({ ...structuredClone(daemon.history.transitions[2]), id: 10 });
  daemon.happen({ kind: 'transition_ended', severity: 'note', patch: 'lp_calls', message: 'Enabling lp_calls completed.', at: '2026-11-25T00:53:00.000Z' });
  await page.waitForFunction(() => document.querySelectorAll('.past').length === 8);
  assert.match(await text(page, '.past:first-child'), /lp_calls[\s\S]*number 10/);
  assert.match(await first(page), /Enabling lp_calls completed/);
}

async function blockersAndReports(page) {
  const record = page.locator('.past').first();
  await record.locator('summary', { hasText: '4 tasks that were left' }).click();
  const tasks = await text(page, '.past details[open]');
  for (const part of [/lpwatch_target \(kernel thread 166\): asleep in a function of the patch: lpwatch_target_main, seen left for 1 min 59 s/,
    /nginx \(tid 1180\): stack unreliable: foreign_exit, fexit foreign_exit/, /swapper \(idle tasks\): idle, seen left once/]) {
    assert.match(tasks, part);
  }
  await record.locator('summary', { hasText: 'Stack' }).first().click();
  assert.match(await text(page, '.past pre'), /^lpwatch_target_main\+0x15 \[lpwatch_target\]/);
  const links = await record.locator('a').evaluateAll((all) => all.map((one) => [one.innerText, one.ariaLabel, new URL(one.href).pathname + new URL(one.href).search]));
  assert.deepEqual(links, [
    ['Report', 'Report: lp_stall, number 9', '/api/v1/history/9/report'],
    ['Report without names', 'Report without names: lp_stall, number 9', '/api/v1/history/9/report?redact=1'],
  ]);
  await page.goto(new URL('./', page.url()).href);
  await page.getByRole('link', { name: 'History', exact: true }).click();
  await drawn(page);
  await page.getByRole('link', { name: 'Now', exact: true }).click();
  await page.waitForSelector('#verdict');
}

/** Each event once, although the stream breaks; those of the break as well. */
async function resumes(page, daemon) {
  await daemon.stop();
  await page.waitForFunction(() => document.getElementById('link').dataset.state === 'gone');
  assert.match(await text(page, '#link-words'), /^No answer/);
  daemon.happen({ message: 'It happened meanwhile.' });
  daemon.history.transitions.shift();
  await daemon.start();
  await page.waitForFunction(() => document.querySelector('#events-list li').innerText.includes('meanwhile'));
  assert.deepEqual(daemon.resumed.filter((last, at) => at === 0 || last !== undefined), [undefined, '20']);
  await page.waitForFunction(() => document.querySelectorAll('.past').length === 6);
  daemon.happen({ message: 'And then this.' });
  await page.waitForFunction(() => document.querySelector('#events-list li').innerText.includes('And then'));
  assert.equal(await page.locator('#events-list > li').count(), 12);
  // A history that begins again with small numbers.
  await daemon.stop();
  daemon.events = [];
  await page.waitForFunction(() => document.getElementById('link').dataset.state === 'gone');
  return 'Last-Event-ID: 20';
}

async function chooses(page, daemon) {
  const options = () => page.$$eval('#patch option', (all) => all.map((one) => one.innerText));
  assert.deepEqual(await options(), ['all', 'lp_calls', 'lp_cancel', 'lp_missing_symbol', 'lp_old', 'lp_stall']);
  await page.selectOption('#patch', 'lp_old');
  assert.equal(await page.locator('.past').count(), 2);
  assert.equal(await page.locator('#events-list > li').count(), 2);
  daemon.happen({ message: 'Not of that patch.', patch: 'lp_new' });
  daemon.happen({ message: 'Of that patch.', patch: 'lp_old' });
  await page.waitForFunction(() => document.querySelector('#events-list li').innerText.includes('Of that'));
  assert.equal(await page.locator('#events-list > li').count(), 3);
  assert.equal(await page.inputValue('#patch'), 'lp_old', 'the choice stays');
  assert.ok((await options()).includes('lp_new'));
  await page.selectOption('#patch', 'lp_new');
  assert.match(await text(page, '#transitions'), /None of lp_new that lpwatch knows of/);
}

async function noHistory(page, daemon) {
  assert.match(await text(page, '#transitions'), /This daemon keeps no history/);
  assert.equal(await page.locator('#events-list > li').count(), 10, 'the events are there');
  assert.equal(daemon.history, null);
}

const HOSTILE = '<img src=x onerror=globalThis.owned=1>\u202e\u001b[2J';

function makeHostile(daemon) {
  const [record] = daemon.history.transitions;
  record.transition.patch = HOSTILE;
  Object.assign(record.blockers[0], { comm: HOSTILE, function: `f${HOSTILE}`, stack: [HOSTILE] });
  daemon.history.transitions[1].transition.refusal.cause = 'x'.repeat(400) + HOSTILE;
  daemon.events = [{ id: 1, at: '2026-11-25T00:53:00.000Z', boot_id: null, patch: HOSTILE, kind: 'patch_enabled', severity: 'note', message: `${HOSTILE} is enabled.` }];
}

async function hostile(page) {
  await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
  const found = await page.evaluate(() => ({
    owned: globalThis.owned,
    made: document.querySelectorAll('img, b, iframe, [onload], [onerror], a[href^="javascript"]').length,
    all: document.body.textContent + document.title + [...document.querySelectorAll('[aria-label]')].map((one) => one.ariaLabel).join(),
    text: document.body.innerText,
    width: document.documentElement.scrollWidth - innerWidth,
  }));
  assert.equal(found.owned, undefined);
  assert.equal(found.made, 0, 'no element comes of a name');
  assert.ok(found.text.includes('<img src=x onerror=globalThis.owned=1>\\u{202e}\\x1b[2J'), 'it is shown as text');
  assert.ok(!/[\u202e\u0000\u001b]/.test(found.all), 'none is left');
  assert.ok(found.width <= 0, `long names make it ${found.width} px too wide`);
}

/** Ten thousand transitions and events. */
function makeMany(daemon) {
  const [record] = daemon.history.transitions;
  daemon.history.transitions = Array.from({ length: 10_000 }, (_, nth) => ({ ...record, id: 20_000 - nth }));
  daemon.events = Array.from({ length: 10_000 }, (_, nth) => ({ id: nth + 1, at: '2026-11-25T00:53:00.000Z', boot_id: null, patch: `lp_${nth % 7}`, kind: 'patch_enabled', severity: 'note', message: `Event ${nth + 1}.` }));
}

async function many(page) {
  await page.waitForFunction(() => document.querySelector('#events-list li')?.innerText.includes('Event 10000.'));
  assert.equal(await page.locator('.past').count(), 50);
  assert.equal(await page.locator('#events-list > li').count(), 100);
  const nodes = await page.evaluate(() => document.querySelectorAll('*').length);
  assert.ok(nodes < 10_000, `${nodes} nodes`);
  await page.getByRole('button', { name: 'Show older transitions' }).click();
  await page.waitForFunction(() => document.querySelectorAll('.past').length === 250);
  await page.getByRole('button', { name: 'Show older events' }).click();
  assert.equal(await page.locator('#events-list > li').count(), 200);
  return `${nodes} nodes`;
}

async function keyboard(page) {
  await page.evaluate(() => document.querySelectorAll('.past:nth-child(n + 4)').forEach((one) => one.remove()));
  const stops = await keyboardStops(page, 'A Skip to the history of this host');
  const names = stops.map((name) => name.replaceAll('\u00a0', ' '));
  for (const name of ['SUMMARY 4 tasks that were left', 'SUMMARY The chart in numbers', 'A Report', 'A Report without names', 'A Events as JSON']) {
    assert.ok(names.includes(name), `${name} is not reached; these are: ${names.join(', ')}`);
  }
  assert.ok(names.some((name) => name.startsWith('SELECT')), 'the choice of the patch is reached');
  await page.locator('.skip').focus();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Now', 'the link to the status page comes first');
  return `${names.length} stops`;
}

async function axe(page) {
  await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
  assert.deepEqual(await violations(page), []);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
}

async function small(page, daemon) {
  const own = daemon.requests.filter((request) => request.startsWith('GET /history'));
  assert.equal(own.length, 6, own.join(', '));
  assert.ok(daemon.bytes < 64 * 1024, `${daemon.bytes} bytes`);
  return `${(daemon.bytes / 1024).toFixed(1)} KiB with what it shares with the status page`;
}

export const historyChecks = [
  ['history: transitions and events, live', onHistory(story)],
  ['history: tasks, stacks and reports', onHistory(blockersAndReports)],
  ['history: the stream resumes', onHistory(resumes, { mayFail: true })],
  ['history: one patch', onHistory(chooses)],
  ['history: a daemon that keeps none', onHistory(noHistory, { prepare: (daemon) => { daemon.history = null; }, mayFail: true })],
  ['history: hostile names stay names', onHistory(hostile, { prepare: makeHostile, look: LOOKS[0] })],
  ['history: ten thousand of each', onHistory(many, { prepare: makeMany })],
  ['history: the keyboard reaches everything, visibly', onHistory(keyboard)],
  ['history: small', onHistory(small)],
  ...LOOKS.map((look) => [`history: axe finds nothing: ${look.width} px, ${look.colorScheme}`, onHistory(axe, { look })]),
];
