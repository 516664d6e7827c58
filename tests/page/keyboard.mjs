// A walk through the page with the Tab key alone.

import assert from 'node:assert/strict';

/** What has the focus, and how it shows that. */
const focused = () => {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  const box = node.getBoundingClientRect();
  return {
    name: node.tagName === 'BODY' ? 'BODY' : `${node.tagName} ${node.textContent.trim()}`,
    isSeen: box.width > 0 && box.height > 0 && box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight,
    isMarked: style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 2,
  };
};

/** The names of what the Tab key reaches, after the link that skips to the content. */
export async function keyboardStops(page, skip) {
  await page.keyboard.press('Tab');
  const first = await page.evaluate(focused);
  assert.equal(first.name, skip);
  assert.ok(first.isSeen && first.isMarked, 'the skip link shows when it has the focus');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');

  const names = [];
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(focused);
    if (at.name === 'BODY' || at.name.startsWith('A Skip')) break;
    names.push(at.name);
    assert.ok(at.isSeen, `${at.name} is out of sight`);
    assert.ok(at.isMarked, `${at.name} does not show that it has the focus`);
  }
  return names;
}

export async function keyboardWalk(page) {
  const names = await keyboardStops(page, 'A Skip to the state of this host');
  for (const name of ['SUMMARY The chart in numbers', 'SUMMARY Stack', 'BUTTON Copy', 'SUMMARY Stacks of 3 of 3 threads', 'SUMMARY How each fact is observed', 'A JSON', 'A Metrics']) {
    assert.ok(names.includes(name), `${name} is not reached; these are: ${names.join(', ')}`);
  }
  for (const summary of await page.locator('summary:visible').all()) {
    await summary.focus();
    await page.keyboard.press('Enter');
    assert.ok(await summary.evaluate((node) => node.parentElement.open));
    await page.keyboard.press('Space');
    assert.ok(!(await summary.evaluate((node) => node.parentElement.open)));
  }
  return `${names.length} stops`;
}
