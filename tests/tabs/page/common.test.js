// What the components of the page share. Run by test_javascript.py.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isStale, opening } from '../../../pipeline/tabs/page/common.js';

const view = (asked, workspace = 'demo') => ({ asked, workspace });

test('a view that was begun before a person opened something is not shown over it', () => {
  const none = { asked: 0, told: null };
  assert.equal(isStale(none, view(0)), false);
  const once = opening(none, view(0), { workspace: 'demo', kind: 'dark' });
  assert.equal(isStale(once, view(0)), true);
  assert.equal(isStale(once, view(1)), false);
  assert.equal(isStale(once, view(0, 'another')), false);
  const twice = opening(once, view(1), { workspace: 'demo', kind: '' });
  assert.deepEqual([0, 1, 2, 3].map((asked) => isStale(twice, view(asked))), [true, true, false, false]);
});
