// Against the page of a real daemon.

import { drawn, open, violations } from './browser.mjs';

const SIGNS = {
  stalled: () => document.getElementById('verdict').dataset.level === 'stalled',
  in_transition: () => ['moving', 'stalled'].includes(document.getElementById('verdict').dataset.level),
  completed: () => ['well', 'none'].includes(document.getElementById('verdict').dataset.level)
    && document.querySelector('#past-rows tr:first-child td:nth-child(3)')?.textContent.endsWith('completed'),
};

/** Waits for the page to say so; the exit code. */
export async function against(browser, { url, expect, screenshot, timeout }, say = console.log) {
  const sign = SIGNS[expect];
  if (!sign) {
    say(`FAIL  --expect is one of ${Object.keys(SIGNS).join(', ')}, not ${expect}`);
    return 2;
  }
  const { page, faults, close } = await open(browser, url);
  const problems = [];
  try {
    await drawn(page);
    await page.waitForFunction(sign, undefined, { timeout: Number(timeout) * 1000 });
  } catch (error) {
    problems.push(`it does not come to say ${expect} within ${timeout} s: ${error.message.split('\n')[0]}`);
  }
  const words = await page.textContent('#verdict-words');
  const lines = await page.$$eval('#verdict-lines li', (all) => all.map((line) => line.textContent));
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
  problems.push(...faults, ...(await violations(page)));
  await close();
  say([words, ...lines].join('\n      '));
  for (const problem of problems) say(`FAIL  ${problem}`);
  if (problems.length === 0) {
    say(`ok    the page of ${url} says ${expect}; no error, no other host, nothing from axe`);
  }
  return problems.length === 0 ? 0 : 1;
}
