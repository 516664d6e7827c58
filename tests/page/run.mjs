// The page in a real Chromium. Without arguments: against a daemon of the
// test's own (checks.mjs tells what is tried). Otherwise:
//
//   node tests/page/run.mjs --url http://127.0.0.1:PORT/ --expect stalled [--screenshot FILE]
//       a real daemon's page comes to say `stalled`, `completed` or `in_transition`
//   node tests/page/run.mjs --shots DIR
//       pictures of every recorded snapshot, to look at
//
// Prints what was checked. Exits with 0 if all of it holds, 1 if not.

import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { drawn, launch, LOOKS, open } from './browser.mjs';
import { checks } from './checks.mjs';
import { against } from './real.mjs';
import { Daemon, recorded } from './server.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    expect: { type: 'string' },
    screenshot: { type: 'string' },
    timeout: { type: 'string', default: '120' },
    shots: { type: 'string' },
    only: { type: 'string' },
  },
});

const browser = await launch();
try {
  console.log(`Chromium ${browser.version()}`);
  if (options.url) process.exitCode = await against(browser, options);
  else if (options.shots) await shots(options.shots);
  else process.exitCode = await all(options.only);
} finally {
  await browser.close();
}

async function all(only) {
  let failed = 0;
  const chosen = checks.filter(([name]) => !only || name.includes(only));
  for (const [name, check] of chosen) {
    const started = Date.now();
    try {
      const said = await check(browser);
      console.log(`ok    ${name}${said ? `: ${said}` : ''} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}: ${error.stack ?? error}`);
    }
  }
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  return failed === 0 && chosen.length > 0 ? 0 : 1;
}

async function shots(folder) {
  mkdirSync(folder, { recursive: true });
  for (const name of ['stalled', 'calls', 'progressing', 'completed', 'refused', 'hostile', 'nulls', 'danger']) {
    const daemon = new Daemon(recorded(name));
    await daemon.start();
    for (const look of LOOKS) {
      const { page, close } = await open(browser, daemon.url, look);
      await drawn(page);
      await page.waitForTimeout(200);
      await page.screenshot({ path: `${folder}/${name}-${look.width}-${look.colorScheme}.png`, fullPage: true });
      await close();
    }
    await daemon.stop();
  }
}
