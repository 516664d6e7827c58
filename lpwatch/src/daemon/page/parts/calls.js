// Calls of old and new code: a small chart for each function, its totals, and
// what was found, dangers first.

import { attribute, h, list, prose, s, setText, show } from './dom.js';
import { clock, count, rate, UNKNOWN } from './words.js';

/** Functions that get a chart. */
const SHOWN = 60;
const SEVERITIES = { danger: ['DANGER', 'alarm'], warning: ['Warning', 'warn'], note: ['Note', 'quiet'] };
const RANK = Object.keys(SEVERITIES);

/** All functions of a snapshot, the worst first. */
export function functionsOf({ patches, watched }) {
  const all = [];
  for (const patch of patches) {
    for (const object of patch.objects) {
      for (const fn of object.functions) all.push({ ...fn, patch, object: object.name, effect: effectOf(patch, object, fn) });
    }
  }
  for (const fn of watched ?? []) all.push({ ...fn, patch: null, effect: ['watched, not patched', null] });
  const rank = (fn) => {
    const worst = fn.calls?.findings.map((finding) => RANK.indexOf(finding.severity)) ?? [];
    return fn.effect[1] === 'alarm' ? -1 : Math.min(fn.calls ? 3 : 4, ...worst);
  };
  return all.map((fn) => [rank(fn), fn]).sort(([one], [other]) => one - other).map(([, fn]) => fn);
}

export function update(container, more, functions) {
  const shown = functions.slice(0, SHOWN);
  list(container, shown, (fn) => `${fn.patch?.name ?? ''} ${fn.object} ${fn.name} ${fn.sympos}`, tile);
  show(more, functions.length > SHOWN);
  setText(more, `and ${count(functions.length - SHOWN)} functions more: lpwatch calls`);
}

/** Whether the new code runs, and how that is to be taken. */
function effectOf({ enabled, transition }, object, { calls, not_counted: why }) {
  if (!enabled && !transition) return ['not on', null];
  if (object.patched === false) {
    return object.name === 'vmlinux' ? ['new code DOES NOT RUN', 'alarm'] : ['not known: its module is not loaded', null];
  }
  if (!calls) return [`not known: ${why ?? 'its calls are not counted'}`, null];
  if (calls.effective === true) return ['new code runs', 'well'];
  const isOff = calls.findings.some((finding) => finding.kind === 'ftrace_disabled');
  if (calls.effective === false || isOff) return ['new code DOES NOT RUN', 'alarm'];
  if (calls.not_entered) return [`not known whether new code runs: ${calls.not_entered}`, null];
  return ['not known whether new code runs', null];
}

function tile({ name, object, sympos, patch }) {
  const effect = h('p', { class: 'effect' });
  const chart = s('svg', { class: 'bars', role: 'img', viewBox: '0 0 300 76' });
  const totals = h('p', { class: 'totals' });
  const findings = h('ul', { class: 'findings' });
  const rows = h('tbody');
  const head = ['', 'Old a second', 'New a second', 'Old', 'New'].map((text, at) =>
    at === 0 ? h('td') : h('th', { scope: 'col', class: 'number' }, text));
  const numbers = h('details', {}, h('summary', {}, 'Numbers'),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `Calls of ${name} in numbers` },
      h('table', { class: 'numbers' }, h('thead', {}, h('tr', {}, ...head)), rows)));
  const of = [patch ? patch.name : 'no patch', object === 'vmlinux' ? null : object].filter(Boolean).join(' · ');
  const node = h('article', { class: 'tile' },
    h('h3', { class: 'name' }, sympos > 1 ? `${name},${sympos}` : name),
    h('p', { class: 'quiet name' }, of), effect, chart, totals, findings, numbers);
  return { node, update: (fn) => setTile({ effect, chart, totals, findings, rows, numbers }, fn) };
}

function setTile({ effect, chart, totals, findings, rows, numbers }, { name, calls, effect: [words, tone], not_counted: why, patch }) {
  setText(effect, words);
  attribute(effect, 'data-tone', tone);
  for (const part of [chart, numbers]) attribute(part, 'hidden', calls ? null : '');
  if (!calls) {
    setText(totals, patch && why === null ? 'Calls are not counted.' : `Calls are not counted${why ? `: ${why}` : ''}`);
    list(findings, [], () => '', finding);
    return;
  }
  const phases = phasesOf(calls);
  draw(chart, name, phases);
  setText(totals, totalsOf(calls));
  const worstFirst = calls.findings.toSorted((one, other) => RANK.indexOf(one.severity) - RANK.indexOf(other.severity));
  list(findings, worstFirst, ({ kind, text }) => `${kind} ${text}`, finding);
  list(rows, phases, ({ label }) => label, numbersRow);
}

function phasesOf(calls) {
  const of = (label, phase) => ({
    label, old: phase?.old_per_second ?? null, new: phase?.new_per_second ?? null,
    oldCalls: phase?.old ?? null, newCalls: phase?.new ?? null,
  });
  const now = { ...of('now', calls), oldCalls: null, newCalls: null };
  return [of('before', calls.before), of('during', calls.during), of('since', calls.after), now];
}

function totalsOf({ old, new: fresh, since, above, uncertain, entered, new_share: part }) {
  const words = [`${count(old)} old, ${count(fresh)} new since ${clock(since).slice(-5)} UTC`];
  if (part !== null) words.push(`${Math.round(part * 100)} % new now`);
  if (entered) words.push(`new code entered ${count(entered.entries)} of ${count(entered.expected)} times`);
  if (above > 0) words.push(`${count(above)} ran a patch above`);
  if (uncertain > 0) words.push(`${count(uncertain)} not known which`);
  return words.join(' · ');
}

function draw(svg, name, phases) {
  const [left, right] = [54, 236];
  const most = Math.max(...phases.map((phase) => (phase.old ?? 0) + (phase.new ?? 0)), Number.MIN_VALUE);
  const wide = (value) => ((value ?? 0) / most) * (right - left);
  const nodes = phases.flatMap((phase, nth) => {
    const y = nth * 19 + 2;
    const isKnown = phase.old !== null || phase.new !== null;
    const sum = isKnown ? rate((phase.old ?? 0) + (phase.new ?? 0)) : UNKNOWN;
    const [old, fresh] = [wide(phase.old), wide(phase.new)];
    return [
      s('text', { x: 0, y: y + 11 }, phase.label),
      s('rect', { class: 'track', x: left, y, width: right - left, height: 14 }),
      s('rect', { class: 'old', x: left, y, width: old, height: 14 }),
      s('rect', { class: 'hatch', x: left, y, width: old, height: 14 }),
      s('rect', { class: 'new', x: left + old, y, width: fresh, height: 14 }),
      s('text', { class: isKnown ? 'value' : 'value unknown', x: 300, y: y + 11, 'text-anchor': 'end' }, sum),
    ];
  });
  const said = ({ label, old, new: fresh }) => `${label} ${old === null && fresh === null ? UNKNOWN : `${rate(old)} old and ${rate(fresh)} new`}`;
  attribute(svg, 'aria-label', `Calls of ${name} a second: ${phases.map(said).join('; ')}.`);
  svg.replaceChildren(...nodes);
}

function numbersRow({ label }) {
  const cells = [0, 1, 2, 3].map(() => h('td', { class: 'number' }));
  return {
    node: h('tr', {}, h('th', { scope: 'row' }, label), ...cells),
    update: (phase) => {
      const texts = [rate(phase.old), rate(phase.new), count(phase.oldCalls), count(phase.newCalls)];
      if (phase.label === 'now') texts.splice(2, 2, '', '');
      texts.forEach((text, at) => setText(cells[at], text));
    },
  };
}

function finding({ severity, text, advice }) {
  const [word, tone] = SEVERITIES[severity] ?? [severity, 'quiet'];
  const node = h('li', { 'data-tone': tone }, h('strong', {}, `${word}: `), prose(text));
  if (advice.length > 0) node.append(h('ul', {}, ...advice.map((step) => prose(step, 'li'))));
  return { node };
}

