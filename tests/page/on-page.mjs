// Runs a check on one page of a daemon of its own.

import assert from 'node:assert/strict';
import { open } from './browser.mjs';

/** What the browser itself says of an answer that is an error, or of none. */
const AWAY = /Failed to load resource|ERR_/;

/** The page at `path` of the daemon that `make` makes, once it is `drawn`; whatever else happens, the page must not misbehave. */
export function onPageOf({ make, path = '', drawn }, check, { look, mayFail = false } = {}) {
  return async (browser) => {
    const daemon = make();
    await daemon.start();
    const { page, faults, close } = await open(browser, `${daemon.url}${path}`, look);
    try {
      await drawn(page);
      const said = await check(page, daemon);
      assert.deepEqual(faults.filter((fault) => !(mayFail && AWAY.test(fault))), []);
      assert.deepEqual(daemon.requests.filter((request) => !request.startsWith('GET ')), []);
      return said;
    } finally {
      await close();
      await daemon.stop();
    }
  };
}
