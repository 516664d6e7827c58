// Building the page and bringing it up to date without taking anything away
// from whoever reads it: nodes stay, so focus, selection and open <details>
// stay as well. All text is set as text, never as markup.

import { printable } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

/** An element: `h('p', { class: 'quiet' }, 'text', node)`. */
export function h(tag, attributes = {}, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
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

/** Sets a text that comes from elsewhere, if it is another one. */
export function setText(node, text) {
	const shown = printable(text);
	if (node.textContent !== shown) node.textContent = shown;
}

/** Sets an attribute; takes it away for `null`. */
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

/**
 * Makes the children of `parent` those of `items`. `make(item)` gives
 * `{ node, update(item) }`, once for each key; what is there already is only
 * updated.
 */
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

/** A node that was moved lost the focus; of one that is gone its section gets it. */
function keepFocus(parent, focused) {
	const heading = (parent.closest('section') ?? document).querySelector('h2, h1, main');
	const target = focused.isConnected ? focused : parent.isConnected ? heading : byId('main');
	if (target) target.focus({ preventScroll: true });
}

/** One line of text each; made by `make` where it is more than that. */
export function lines(parent, texts, make) {
	const plain = () => {
		const node = h('li');
		return { node, update: ([text]) => setText(node, text) };
	};
	const items = texts.map((text, at) => [text, make ? text : at]);
	list(parent, items, ([, key]) => key, make ? ([text]) => ({ node: make(text) }) : plain);
}
