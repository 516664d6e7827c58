// A real Chromium, and everything it says that it should not.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const MODULES = process.env.LPWATCH_PAGE_MODULES ?? new URL('../../target/page/', import.meta.url).pathname;
const require = createRequire(`${MODULES}/`);

function load(name) {
  try {
    return require(name);
  } catch (error) {
    throw new Error(`${name} is not in ${MODULES}: run \`cargo xtask test page\`, which puts it there (${error.message})`);
  }
}

const { chromium } = load('playwright-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** The sizes and looks the page is tried in. */
export const LOOKS = [
  { width: 360, height: 740, colorScheme: 'light' },
  { width: 360, height: 740, colorScheme: 'dark' },
  { width: 1280, height: 900, colorScheme: 'light' },
  { width: 1280, height: 900, colorScheme: 'dark' },
];

export async function launch() {
  return chromium.launch({
    executablePath: process.env.LPWATCH_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/**
 * A page at `url`. `faults` collects what it must not do: errors, dialogs,
 * requests to other hosts, requests that are no GET.
 */
export async function open(browser, url, look = LOOKS[2]) {
  const { width, height, ...rest } = look;
  const context = await browser.newContext({ viewport: { width, height }, ...rest });
  const page = await context.newPage();
  const faults = [];
  page.setDefaultTimeout(20_000);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on('request', (request) => {
    const asked = new URL(request.url());
    if (asked.protocol !== 'data:' && asked.origin !== new URL(url).origin) faults.push(`other host: ${asked}`);
    if (request.method() !== 'GET') faults.push(`${request.method()} ${asked}`);
  });
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

/** Waits until the first answer is drawn. */
export async function drawn(page) {
  await page.waitForFunction(() => !document.getElementById('taken').textContent.startsWith('No answer'));
}

/** What axe has against the page as it stands, a line each. */
export async function violations(page) {
  await page.evaluate(AXE);
  const { violations: found, passes } = await page.evaluate(
    (values) => globalThis.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] }),
    RULES,
  );
  if (passes.length < 15) throw new Error(`axe applied only ${passes.length} rules`);
  return found.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} ${node.failureSummary.replaceAll('\n', ' ').slice(0, 200)}`));
}
