// What is tried against the page: each entry a name and a check, which throws if
// something does not hold. Each has a page and a daemon of its own.

import assert from 'node:assert/strict';
import { drawn, LOOKS, open, violations } from './browser.mjs';
import { Daemon, recorded } from './server.mjs';
import { historyChecks } from './history.mjs';
import { keyboardWalk } from './keyboard.mjs';
import { manyTasks } from './many.mjs';
import { onPageOf } from './on-page.mjs';
import { against } from './real.mjs';

const ALL = ['none', 'progressing', 'stalled', 'calls', 'completed', 'refused', 'danger', 'hostile', 'nulls'];
/** Where xtask has had the report written. */
const REPORT = `file://${process.env.LPWATCH_REPORT}`;

/** A check on the status page of a daemon that gives this snapshot first. */
function onPage(first, check, options) {
  const make = () => new Daemon(typeof first === 'string' ? recorded(first) : first);
  return onPageOf({ make, drawn }, check, options);
}

async function says(page, level, words) {
  await page.waitForFunction(
    ([is, text]) => document.getElementById('verdict').dataset.level === is && document.getElementById('verdict-words').textContent === text,
    [level, words],
  ).catch(async (error) => {
    throw new Error(`the verdict is "${await page.textContent('#verdict-words')}", not "${words}": ${error.message}`);
  });
  assert.ok((await page.title()).startsWith(words), 'the title says the same');
}

/** What is to be read there, with plain spaces. */
const text = (page, selector) => page.$eval(selector, (node) => node.innerText.replaceAll('\u00a0', ' '));

async function story(page, daemon) {
  await says(page, 'none', 'Not patched');
  daemon.tell(recorded('progressing'));
  await says(page, 'moving', 'In transition: lp_stall');
  await page.waitForSelector('.chart .curve');
  assert.match(await text(page, '#transitions'), /1 of 111 tasks/);
  assert.match(await page.getAttribute('.chart', 'aria-label'), /111, then 59, then 1 within/);
  const curve = await page.getAttribute('.chart .curve', 'd');

  daemon.tell(recorded('stalled'));
  await says(page, 'stalled', 'Stalled: lp_stall');
  await page.waitForFunction((before) => document.querySelector('.chart .curve').getAttribute('d') !== before, curve);
  const shown = await text(page, '#transitions');
  for (const part of [/stalled/, /4 of 111 tasks/, /1 min 59 s/, /Reverse the transition/, /echo 0 > \/sys\/kernel\/livepatch\/lp_stall\/enabled/,
    /Kernel threads asleep in a function of the patch\s*\(1\)/, /nginx \(pid 1174\): 3 threads, fexit program foreign_exit \(id 5\)/,
    /The check at .* expected a stall \(danger\)/]) {
    assert.match(shown, part);
  }
  daemon.tell(recorded('completed'));
  await says(page, 'well', 'All well');
  await page.waitForFunction(() => document.getElementById('transitions').childElementCount === 0);
  assert.match(await text(page, '#past-rows tr:first-child'), /lp_stall\s+patching completed/);
  assert.equal(daemon.requests.filter((request) => request === 'GET /api/v1/status').length, 1, 'all of it came through the stream');
}

async function keepsWhatIsOpen(page, daemon) {
  const summary = page.locator('.tasks summary').first();
  await summary.focus();
  await page.keyboard.press('Enter');
  await page.evaluate(() => { globalThis.before = document.activeElement; });
  const next = recorded('stalled');
  const { transition } = next.patches[1];
  transition.age_seconds += 7;
  transition.blockers.unshift({ ...transition.blockers[0], tid: 77, tgid: 77, comm: 'older', since_seconds: 500 });
  daemon.tell(next);
  await page.waitForFunction(() => document.body.innerText.includes('older'));
  assert.deepEqual(
    await page.evaluate(() => [globalThis.before === document.activeElement, document.activeElement.parentElement.open]),
    [true, true],
  );
  assert.match(await text(page, '.tasks details[open] pre'), /lpwatch_target_main\+0x15 \[lpwatch_target\] {2}← blocks/);
  daemon.tell(recorded('completed'));
  await page.waitForFunction(() => !globalThis.before.isConnected);
  assert.notEqual(await page.evaluate(() => document.activeElement.tagName), 'BODY', 'the focus is not lost with its task');
}

async function awayAndBack(page, daemon) {
  await says(page, 'stalled', 'Stalled: lp_stall');
  await daemon.stop();
  await page.waitForFunction(() => document.getElementById('link').dataset.state === 'gone');
  await says(page, 'unknown', 'Unknown: the daemon does not answer');
  assert.match(await text(page, '#verdict-lines'), /It last said: Stalled: lp_stall/);
  await page.waitForFunction(() => /last heard \d+.s ago/.test(document.getElementById('link-words').textContent));
  assert.deepEqual(await violations(page), []);
  daemon.tell(recorded('completed'));
  await daemon.start();
  await says(page, 'well', 'All well');
  assert.equal(await page.getAttribute('#link', 'data-state'), 'live');
}

async function silence(page, daemon) {
  daemon.isSilent = true;
  await page.waitForFunction(() => document.getElementById('link').dataset.state === 'quiet', undefined, { timeout: 40_000 });
  assert.match(await text(page, '#link-words'), /^Silent, last heard 2\d.s ago/);
  await says(page, 'unknown', 'Unknown: the daemon is silent');
  daemon.tell(recorded('stalled'));
  await says(page, 'stalled', 'Stalled: lp_stall');
}

async function unreadable(page, daemon) {
  daemon.tellRaw('{"schema_version": 1, "patches": ');
  await page.waitForFunction(() => document.getElementById('link').dataset.state === 'gone');
  await page.waitForFunction(() => document.getElementById('link').dataset.state === 'live');
  daemon.tellRaw('{"schema_version": 7}');
  await page.waitForFunction(() => document.getElementById('verdict-lines').textContent.includes('cannot be read'));
  daemon.tell({ ...recorded('stalled'), schema_version: 3 });
  await page.waitForFunction(() => document.getElementById('verdict-lines').textContent.includes('reload'));
  daemon.tell(recorded('completed'));
  await says(page, 'well', 'All well');
  assert.doesNotMatch(await text(page, '#verdict-lines'), /reload/);
}

async function hostile(page) {
  const found = await page.evaluate(() => ({
    owned: globalThis.owned,
    made: document.querySelectorAll('img, b, iframe, [onload], [onerror], [onmouseover], a[href^="javascript"]').length,
    text: document.body.innerText,
    html: document.body.textContent + document.title,
    labels: [...document.querySelectorAll('[aria-label]')].map((one) => one.ariaLabel).join(),
  }));
  assert.equal(found.owned, undefined);
  assert.equal(found.made, 0, 'no element comes of a name');
  assert.ok(found.text.includes('<img src=x onerror=globalThis.owned=1>'), 'it is shown as text');
  assert.ok(found.text.includes('a\\x1b[2J\\nb\\u{200b}\\u{2066}'), 'what is invisible is escaped');
  assert.ok(!/[\u202e\u2066\u2028\u200b\u0000\u001b]/.test(found.html + found.labels), 'none is left');
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width[0] <= width[1], `long names make it ${width[0]} wide`);
}

async function nulls(page) {
  const shown = await text(page, 'main');
  assert.doesNotMatch(shown, /\bNaN\b|undefined|\bnull\b|Infinity|Invalid/);
  const figures = await page.$$eval('.figures > div', (all) => Object.fromEntries(all.map((one) => [one.children[0].innerText, one.children[1].innerText])));
  const { Direction: direction, ...rest } = figures;
  assert.equal(direction, 'patching');
  assert.deepEqual([...new Set(Object.values(rest))], ['unknown'], JSON.stringify(figures));
  const bars = await page.$$eval('.bars text', (all) => all.map((one) => one.textContent));
  assert.deepEqual(bars.filter((one) => /\d/.test(one)), [], 'no number in a chart of unknown rates');
  assert.ok((await text(page, '#past-rows')).includes('ended with an unknown outcome'));
  assert.match(await text(page, '#verdict-lines'), /how many tasks are left is unknown/);
}

async function dangerFirst(page) {
  await says(page, 'danger', 'Danger: gcd');
  const tile = await text(page, '.tile');
  assert.match(tile, /^gcd\n/, 'the function in danger comes first');
  assert.match(tile, /DOES NOT RUN[\s\S]*DANGER: Patched but not effective[\s\S]*rmmod lpwatch_redirect[\s\S]*Note: gcd is called/);
  assert.match(await text(page, '#notes'), /CAP_SYS_ADMIN is missing[\s\S]*3.kernel events were lost/);
  assert.match(await text(page, '#sight-words'), /not observed: verdict/);
}

/** The share of new code that each bar of the first tile shows, in percent; null without calls. */
async function sharesOfNew(page) {
  const widths = await page.$$eval('.tile:first-child .bars rect:is(.old, .new)', (all) => all.map((one) => Number(one.getAttribute('width'))));
  const shares = [];
  for (let at = 0; at < widths.length; at += 2) {
    const [old, fresh] = widths.slice(at, at + 2);
    shares.push(old + fresh > 0 ? Math.round((fresh / (old + fresh)) * 100) : null);
  }
  return shares;
}

/** Where new code does not run, bars and numbers show what was entered, not what was sent there. */
async function barsShowEntries(page, daemon) {
  const said = async (change, words, shares, totals) => {
    const next = recorded('danger');
    const { calls } = next.patches.flatMap(({ objects }) => objects.flatMap(({ functions }) => functions)).find(({ name }) => name === 'gcd');
    change(calls);
    daemon.tell(next);
    await page.waitForFunction((expected) => document.querySelector('.tile .effect').textContent === expected, words);
    await page.waitForFunction((expected) => document.querySelector('.tile .totals').textContent.includes(expected), totals);
    assert.deepEqual(await sharesOfNew(page), shares, totals);
  };
  const off = 'new code DOES NOT RUN';
  await said(() => {}, off, [0, 0, 0, 0], '0 % new now · new code entered 0 of 2,440 times');
  // All calls counted as new, because another look has not confirmed that they are not.
  const sent = (calls) => {
    calls.new_share = 1;
    [calls.new_per_second, calls.old_per_second] = [calls.new_per_second + calls.old_per_second, 0];
    [calls.after.new_per_second, calls.after.old_per_second] = [61.521, 0];
    calls.during = null;
  };
  const entries = (number) => (calls) => {
    sent(calls);
    calls.entered.entries = number;
  };
  await said(entries(0), off, [0, null, 0, 0], '0 % new now · new code entered 0 of 2,440 times');
  await said(entries(610), off, [0, null, 25, 25], '25 % new now · new code entered 610 of 2,440 times');
  await said(entries(2430), off, [0, null, 100, 100], '99 % new now · new code entered 2,430 of 2,440 times');
  await said(entries(2440), off, [0, null, 0, 0], '0 % new now · new code entered 2,440 of 2,440 times');
  const uncounted = (calls) => {
    sent(calls);
    Object.assign(calls, { entered: null, effective: null, not_entered: 'it is notrace', findings: [] });
  };
  const next = recorded('danger');
  const all = next.patches.flatMap(({ objects }) => objects);
  for (const object of all) object.functions = object.functions.filter(({ name }) => name === 'gcd');
  all.flatMap(({ functions }) => functions).forEach(({ calls }) => uncounted(calls));
  daemon.tell(next);
  await page.waitForFunction(() => document.querySelector('.tile .effect').textContent === 'unknown whether new code runs: its entries are not counted: it is notrace');
}

function axe(look) {
  return async (browser) => {
    for (const name of ALL) {
      const check = onPage(name, async (page) => {
        await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
        assert.deepEqual(await violations(page), [], name);
        const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(wide <= room, `${name} is ${wide} wide`);
      }, { look });
      await check(browser);
    }
    return `${ALL.length} snapshots, every <details> open`;
  };
}

/** The whole command, and nothing else. */
async function copies(page) {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const command = 'echo 0 > /sys/kernel/livepatch/lp_stall/enabled';
  const line = page.locator('.steps .command', { hasText: command });
  assert.equal(await line.locator('code').textContent(), command);
  await line.getByRole('button', { name: 'Copy', exact: true }).click();
  await line.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  await line.getByRole('button', { name: 'Copy', exact: true }).waitFor();
  const code = await page.$$eval('.command code', (all) => all.map((one) => one.textContent));
  const buttons = await page.locator('.command button').count();
  assert.equal(buttons, code.length, 'each command has its button');
  return `${buttons} commands`;
}

async function small(page, daemon) {
  assert.ok(daemon.bytes < 60 * 1024, `${daemon.bytes} bytes`);
  return `${(daemon.bytes / 1024).toFixed(1)} KiB in ${daemon.requests.length} requests, all to the daemon`;
}

async function printed(page) {
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.isVisible('.skip'), false);
  assert.ok(await page.isVisible('.tasks pre'), 'stacks are printed although closed');
}

/** What is run against real daemons says yes and no in the right places. */
async function modeForRealDaemons(browser) {
  const daemon = new Daemon(recorded('stalled'));
  await daemon.start();
  const silent = () => {};
  try {
    assert.equal(await against(browser, { url: daemon.url, expect: 'stalled', timeout: 20 }, silent), 0);
    assert.equal(await against(browser, { url: daemon.url, expect: 'completed', timeout: 1 }, silent), 1);
    daemon.tell(recorded('completed'));
    assert.equal(await against(browser, { url: daemon.url, expect: 'completed', timeout: 20 }, silent), 0);
  } finally {
    await daemon.stop();
  }
}

/** An operator ordered a reversal: it is an outcome, below, and no failure. */
async function reversalIsNoFailure(page, daemon) {
  await says(page, 'failed', 'Failed: lp_missing_symbol');
  assert.doesNotMatch(await text(page, '#verdict'), /lp_stall/);
  assert.match(await text(page, '#past-rows'), /lp_stall\s+patching reversed/);
  // Without a refusal beside it nothing has failed, with another patch enabled and without.
  const next = recorded('refused');
  next.last_transitions = next.last_transitions.filter(({ outcome }) => outcome !== 'refused');
  assert.ok(next.last_transitions.some(({ outcome }) => outcome === 'reversed'));
  daemon.tell(next);
  await says(page, 'well', 'All well');
  daemon.tell({ ...next, patches: [] });
  await says(page, 'none', 'Not patched');
}

/** The file that `lpwatch report --html` has written about a recorded host. */
function report(look) {
  return async (browser) => {
    const { page, faults, close } = await open(browser, REPORT, look);
    try {
      for (const part of ['Tasks left, the worst first', 'lp_stall', 'reverse it:']) assert.ok((await page.innerText('body')).includes(part), part);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} px too wide`);
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(faults, []);
    } finally {
      await close();
    }
  };
}

export const checks = [
  ['a transition appears, stalls and completes, through the stream', onPage('none', story)],
  ['focus and open parts stay when news come', onPage('stalled', keepsWhatIsOpen)],
  ['the keyboard reaches everything, visibly', onPage('stalled', keyboardWalk)],
  ['a command is copied whole', onPage('stalled', copies)],
  ['hostile names stay names', onPage('hostile', hostile, { look: LOOKS[0] })],
  ['what is unknown is never 0', onPage('nulls', nulls)],
  ['dangers come first, and what is missing is said', onPage('danger', dangerFirst)],
  ['bars show what was entered', onPage('danger', barsShowEntries)],
  ['a reversal is an outcome, not a failure', onPage('refused', reversalIsNoFailure)],
  ['5,000 tasks and 1,000 functions', onPage(manyTasks(), (page) => page.evaluate(() => {
    const nodes = document.querySelectorAll('*').length;
    if (nodes > 6000) throw new Error(`${nodes} nodes`);
    if (!document.body.innerText.includes('lpwatch tasks --all')) throw new Error('it is not said that there are more');
    return `${nodes} nodes`;
  }))],
  ['the daemon goes away and comes back', onPage('stalled', awayAndBack, { mayFail: true })],
  ['a silent daemon is not taken for a calm one', onPage('completed', silence)],
  ['answers that cannot be read', onPage('stalled', unreadable)],
  ['small, and on paper', onPage('stalled', async (page, daemon) => {
    await printed(page);
    return small(page, daemon);
  })],
  ['the check of real daemons', modeForRealDaemons],
  ...[LOOKS[0], LOOKS[3]].map((look) => [`a report: ${look.width} px, ${look.colorScheme}`, report(look)]),
  ...historyChecks,
  ...LOOKS.map((look) => [`axe finds nothing: ${look.width} px, ${look.colorScheme}`, axe(look)]),
];
