// Builds and updates the page. Nodes stay; so do focus and selection.
// No markup in text.

import { printable } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

/** An element: `h('p', { class: 'quiet' }, 'text', node)`. */
export function h(tag, attributes = {}, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
	return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) attr(node, name, value);
	node.append(...children.map((child) => (child instanceof Node ? child : printable(child))));
	return node;
}

export function byId(id) {
	return document.getElementById(id);
}

/** Sets a text, if it has changed. */
export function setText(node, text) {
	const shown = printable(text);
	if (node.textContent !== shown) node.textContent = shown;
}

/** Sets an attribute; `null` removes it. */
export function attr(node, name, value) {
	if (value === null || value === undefined || value === false) {
		node.removeAttribute(name);
	} else if (node.getAttribute(name) !== printable(value)) {
		node.setAttribute(name, printable(value));
	}
}

export function show(node, is) {
	if (node.hidden === Boolean(is)) node.hidden = !is;
}

const known = new WeakMap();

/** Makes the children of `parent` those of `items`; `make(item)` gives `{ node, update(item) }`. */
export function list(parent, items, keyOf, make) {
	const before = known.get(parent) ?? new Map();
	const after = new Map();
	for (const item of items) {
		let key = String(keyOf(item));
		while (after.has(key)) key += '\u0000';
		const entry = before.get(key) ?? make(item);
		entry.update?.(item);
		after.set(key, entry);
	}
	known.set(parent, after);
	place(parent, before, after);
}

function place(parent, before, after) {
	const focused = document.activeElement;
	const held = focused && focused !== document.body && parent.contains(focused);
	for (const [key, entry] of before) {
		if (after.get(key) !== entry) entry.node.remove();
	}
	let next = parent.firstChild;
	for (const { node } of after.values()) {
		if (node === next) next = next.nextSibling;
		else parent.insertBefore(node, next);
	}
	if (held && document.activeElement !== focused) keepFocus(parent, focused);
}

/** A moved node gets the focus again; for a removed one its section does. */
function keepFocus(parent, focused) {
	const heading = (parent.closest('section') ?? document).querySelector('h2, h1, main');
	const target = focused.isConnected ? focused : parent.isConnected ? heading : byId('main');
	if (target) target.focus({ preventScroll: true });
}

/** One line for each text, made by `make` if given. */
export function lines(parent, texts, make) {
	const plain = () => {
		const node = h('li');
		return { node, update: ([text]) => setText(node, text) };
	};
	const items = texts.map((text, at) => [text, make ? text : at]);
	list(parent, items, ([, key]) => key, make ? ([text]) => ({ node: make(text) }) : plain);
}

/** As in render/command.rs. */
const COMMAND = /^(|.*: )((?:bpftool|cat|echo|insmod|kill|lpwatch|modprobe|mount|rm|rmmod|sysctl|systemctl|taskset) (?!.*\(pid ).*[^.])$/;

/** A text with its commands; `quoted` words are set as code. */
export function prose(text, tag = 'span') {
	const node = h(tag);
	let [sentence, ...commands] = text.split('\n');
	const found = commands.length === 0 && COMMAND.exec(text);
	if (found) [, sentence, ...commands] = found;
	sentence.split('`').forEach((part, nth) => {
		if (part) node.append(nth % 2 ? h('code', {}, part) : document.createTextNode(printable(part)));
	});
	node.append(...commands.map(commandLine));
	return node;
}

function commandLine(command) {
	const code = h('code', {}, command);
	const button = h('button', { type: 'button', title: command, 'aria-live': 'polite' }, 'Copy');
	button.addEventListener('click', async () => {
		if (!await copy(code)) return;
		setText(button, 'Copied');
		setTimeout(() => setText(button, 'Copy'), 2000);
	});
	return h('span', { class: 'command' }, code, button);
}

/** Over plain HTTP from another host a browser has no clipboard. */
async function copy(code) {
	try {
		await navigator.clipboard.writeText(code.textContent);
		return true;
	} catch {
		getSelection().selectAllChildren(code);
		return document.execCommand('copy');
	}
}
