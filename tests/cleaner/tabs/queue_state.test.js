// The Clean tab's queue as a value: what it is after every event, and what it sends. Run by tests/tabs/page/test_javascript.py.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { keyed, keyOf } from '../../../cleaner/tabs/clean/class_keys.js';
import {
  drafted, indexOf, newState, onGrid, progress, question, reduced, request, shown, targets,
} from '../../../cleaner/tabs/clean/queue_state.js';
import { matching, meant } from '../../../pipeline/tabs/page/typed.js';

const ROW = { name: '', label: 'ant', suggested: 'bee', suggested_probability: 0.9, why: '', split: 'train', likely: [], thumbnail: 't', large: 'l', trouble: '' };
const row = (id, more = {}) => ({ ...ROW, id, name: id + '.jpg', seen: { labels: [more.label ?? 'ant'], status: 'ok', reason: '', known: 1 }, ...more });
const rowsOf = (ids) => [...ids].map((id) => row(id));
const seen = (rows, more = {}) => ({
  page: '', done_up_to: 0, message: '', warning: false, forget: false, focus: null, fate: null, key: 'demo|latest', mark: '1-1',
  workspace: 'demo', run: 'r1', rows, start: 0, position: 0, shown: rows.length, done: 0, left: rows.length,
  classes: ['ant', 'bee', 'cat'], several: false, none: '(none)', filter: '', empty: '', outlook: '', stop: false, pace: null, ...more,
});
const after = (state, ...events) => events.reduce(reduced, state);
const opened = (rows, more = {}, many = false) => after(newState(many, { page: 'me', sent: 0, answered: 0 }), { type: 'view', view: seen(rows, more) });
const ids = (state) => state.rows.map((one) => one.id).join('');
const chosen = (state) => [...state.selected].join('');
const kinds = (state) => state.waiting.map((action) => action.kind + ':' + (action.items?.map((item) => item.id).join('') ?? action.id));
const answer = (state, more) => reduced(state, { type: 'view', view: seen(rowsOf('bcde'), { page: 'me', mark: '1-2', ...more }) });
const SENT = { type: 'sent', at: 1000 };
const KEEP = { type: 'keep' };
const UNDO = { type: 'undo' };
const REDO = { type: 'redo' };

describe('deciding', () => {
  test('a decision takes effect at once and waits with what the person saw', () => {
    const state = after(opened(rowsOf('abcd')), KEEP);
    assert.equal(ids(state), 'bcd');
    assert.equal(state.current, 'b');
    assert.equal(state.told.text, 'Kept as ant: a.jpg. U takes it back.');
    assert.deepEqual(request(state), {
      page: 'me', workspace: 'demo', at: 'b', many: false,
      actions: [{ number: 1, workspace: 'demo', kind: 'keep', id: 'a', label: null, seen: row('a').seen, items: undefined }],
    });
    assert.deepEqual(progress(state), { done: 1, left: 3 });
  });
  test('a class, the suggestion and removing tell what they did', () => {
    const state = opened(rowsOf('abcd'));
    assert.equal(after(state, { type: 'label', name: ' cat ' }).told.text, 'ant → cat: a.jpg. U takes it back.');
    assert.equal(after(state, { type: 'suggested' }).waiting[0].label, 'bee');
    assert.equal(after(state, { type: 'remove' }).told.text, 'Removed: a.jpg. U takes it back.');
    assert.equal(after(state, { type: 'label', name: '  ' }), state);
  });
  test('fast typing waits in order and goes out in one piece, one request at a time', () => {
    let state = after(opened(rowsOf('abcde')), KEEP, SENT, { type: 'remove' }, { type: 'suggested' });
    assert.equal(request(state), null);
    state = answer(state, { done_up_to: 1 });
    assert.equal(ids(state), 'de');
    assert.deepEqual(request(state).actions.map((action) => [action.number, action.kind, action.id]), [[2, 'remove', 'b'], [3, 'relabel', 'c']]);
  });
  test('no suggestion is nothing to do', () => {
    const state = after(opened([row('a', { suggested: 'ant' })]), { type: 'suggested' });
    assert.deepEqual([ids(state), state.waiting.length, state.told.warning], ['a', 0, true]);
    assert.match(state.told.text, /no other label is suggested for this picture/);
  });
  test('the last picture leaves the one before it, and then nothing', () => {
    let state = after(opened(rowsOf('ab')), { type: 'move', step: 1 }, KEEP);
    assert.equal(state.current, 'a');
    state = after(state, KEEP);
    assert.deepEqual([state.current, shown(state), ids(state)], [null, null, '']);
    assert.equal(after(state, KEEP), state);
    assert.equal(after(state, { type: 'move', step: 1 }), state);
    assert.equal(after(state, { type: 'confirm' }), state);
  });
  test('an empty queue takes every event and stays empty', () => {
    for (const many of [false, true]) {
      const state = opened([], {}, many);
      for (const event of [KEEP, { type: 'suggested' }, { type: 'label', name: 'cat' }, { type: 'all' }, { type: 'none' }, { type: 'turn', way: 1 }, { type: 'turn', way: -1 }, { type: 'move', step: -1 }]) {
        const next = after(state, event);
        assert.deepEqual([next.current, next.rows.length, next.waiting.length], [null, 0, 0], event.type);
      }
    }
  });
  test('before anything is shown nothing is sent', () => {
    const state = newState();
    assert.equal(after(state, KEEP), state);
    assert.equal(after(state, UNDO), state);
    assert.equal(request(after(state, { type: 'unsaved', actions: [{ kind: 'keep' }] })), null);
    assert.equal(question(state), null);
  });
  test('events do not change the state they are given', () => {
    const state = after(opened(rowsOf('abcd'), {}, true), { type: 'all' });
    const before = JSON.stringify([state, [...state.selected]]);
    after(state, KEEP, UNDO, { type: 'move', step: 1, extend: true }, { type: 'none' });
    assert.equal(JSON.stringify([state, [...state.selected]]), before);
  });
});

describe('taking back', () => {
  test('undo puts the picture back in its place, with what waits', () => {
    const state = after(opened(rowsOf('abcd')), { type: 'move', step: 1 }, KEEP, UNDO);
    assert.deepEqual([ids(state), state.current, state.history.length], ['abcd', 'b', 0]);
    assert.deepEqual(kinds(state), ['keep:b', 'undo:b']);
    assert.deepEqual(progress(state), { done: 0, left: 4 });
    assert.equal(state.told.text, 'Taken back: b.jpg');
  });
  test('undo of many selects them again', () => {
    const range = after(opened(rowsOf('abcd')), { type: 'move', step: 1, extend: true }, { type: 'move', step: 1, extend: true });
    const done = after(range, { type: 'remove' });
    assert.deepEqual([ids(done), kinds(done)[0], done.told.text], ['d', 'remove:abc', '3 pictures removed. U takes it back.']);
    assert.deepEqual(progress(done), { done: 3, left: 1 });
    const back = after(done, UNDO);
    assert.deepEqual([ids(back), chosen(back), back.told.text], ['abcd', 'abc', 'Taken back: 3 pictures']);
  });
  test('undo beyond what this page decided asks the server for the last one', () => {
    const state = after(opened(rowsOf('ab')), UNDO);
    assert.deepEqual([kinds(state), ids(state)], [['undo:null'], 'ab']);
    assert.deepEqual(progress(state), { done: 0, left: 3 });
  });
  test('an undone picture is not put back twice where the server shows it already', () => {
    let state = after(opened(rowsOf('abcde')), KEEP, SENT, UNDO);
    state = reduced(state, { type: 'view', view: seen(rowsOf('abcde'), { page: 'me', done_up_to: 1 }) });
    assert.equal(ids(state), 'abcde');
  });
  test('redo takes again what undo put back, step by step, until something new is decided', () => {
    const back = after(opened(rowsOf('abcd')), KEEP, { type: 'remove' }, UNDO, UNDO);
    const once = after(back, REDO);
    assert.deepEqual([ids(once), once.current, once.told.text], ['bcd', 'b', 'Redone: a.jpg. U takes it back.']);
    const twice = after(once, REDO);
    assert.deepEqual([ids(twice), kinds(twice).slice(-2), progress(twice)], ['cd', ['redo:a', 'redo:b'], { done: 2, left: 2 }]);
    assert.deepEqual([ids(after(twice, UNDO)), after(twice, UNDO).history.length], ['bcd', 1]);
    assert.deepEqual(kinds(after(twice, REDO)).at(-1), 'redo:null');
    assert.deepEqual(kinds(after(once, KEEP, REDO)).slice(-2), ['keep:b', 'redo:null']);
  });
  test('redo of many is one step, and what waits is done again to what the server shows', () => {
    const range = after(opened(rowsOf('abcde')), { type: 'move', step: 1, extend: true });
    let state = after(range, { type: 'remove' }, UNDO, SENT, REDO);
    state = reduced(state, { type: 'view', view: seen(rowsOf('abcde'), { page: 'me', done_up_to: 2 }) });
    assert.deepEqual([ids(state), kinds(state), progress(state)], ['cde', ['redo:a'], { done: 2, left: 3 }]);
  });
  test('where the page cannot count on its own decisions any more, they are forgotten', () => {
    const state = answer(after(opened(rowsOf('abcde')), KEEP, SENT), { done_up_to: 1, forget: true, warning: true, message: 'It changed.', focus: 'c' });
    assert.deepEqual([state.history.length, state.current, state.told], [0, 'c', { text: 'It changed.', warning: true }]);
  });
  test('another queue has another history', () => {
    const state = reduced(after(opened(rowsOf('ab')), KEEP), { type: 'view', view: seen(rowsOf('xy'), { key: 'other' }) });
    assert.equal(state.history.length, 0);
  });
});

describe('the answers of the server', () => {
  test('a decision that came back refused is shown again, with why', () => {
    let state = after(opened(rowsOf('abcde')), KEEP, SENT);
    const view = seen(rowsOf('abcde'), { page: 'me', done_up_to: 1, message: 'The image changed.', warning: true, focus: 'a', forget: true });
    state = reduced(state, { type: 'view', view });
    assert.deepEqual([ids(state), state.current, state.waiting.length, state.sentAt], ['abcde', 'a', 0, 0]);
    assert.equal(state.told.text, 'The image changed.');
  });
  test('an answer that comes twice changes nothing more', () => {
    const state = after(opened(rowsOf('abcde')), KEEP, SENT);
    const once = answer(state, { done_up_to: 1 });
    const twice = answer(once, { done_up_to: 1 });
    assert.deepEqual([ids(twice), twice.waiting, twice.current], [ids(once), [], once.current]);
  });
  test('a late answer to an earlier message leaves what was decided since', () => {
    let state = after(opened(rowsOf('abcde')), KEEP, SENT, KEEP);
    state = answer(state, { done_up_to: 1 });
    assert.deepEqual([ids(state), kinds(state), state.current], ['cde', ['keep:b'], 'c']);
  });
  test("another page's answer does not end the request under way, and an older view is overtaken", () => {
    const state = after(opened(rowsOf('abcde'), { mark: '1-10' }), KEEP, SENT);
    const others = reduced(state, { type: 'view', view: seen(rowsOf('acde'), { page: 'you', done_up_to: 9, mark: '1-11' }) });
    assert.deepEqual([others.sentAt, kinds(others), ids(others)], [1000, ['keep:a'], 'cde']);
    assert.equal(reduced(others, { type: 'view', view: seen(rowsOf('abcde'), { mark: '1-9' }) }), others);
    assert.notEqual(reduced(others, { type: 'view', view: seen(rowsOf('abcde'), { mark: '1-9', key: 'other' }) }), others);
    assert.notEqual(reduced(others, { type: 'view', view: seen(rowsOf('abcde'), { mark: '2-11' }) }), others);
  });
  test('a request without an answer is sent again after a while, with everything', () => {
    let state = after(opened(rowsOf('abcde')), KEEP, SENT, KEEP);
    assert.equal(reduced(state, { type: 'tick', at: 15999 }), state);
    state = reduced(state, { type: 'tick', at: 16000 });
    assert.match(state.told.text, /^The server does not answer. 2 not saved yet/);
    assert.deepEqual(request(state).actions.map((action) => action.number), [1, 2]);
    assert.equal(reduced(state, { type: 'tick', at: 99999 }), state);
  });
  test('what was not saved before a reload is numbered anew and goes out first', () => {
    const actions = [{ number: 7, workspace: 'demo', kind: 'keep', id: 'b', label: null, seen: null }];
    let state = reduced(newState(), { type: 'unsaved', actions });
    assert.equal(state.told.text, 'Sent now: 1 decided before the page was reloaded.');
    state = reduced(state, { type: 'view', view: seen(rowsOf('abc')) });
    assert.deepEqual([ids(state), request(state).actions[0].number], ['ac', 1]);
  });
  test('decisions of two workspaces go out one after the other', () => {
    let state = after(opened(rowsOf('ab')), KEEP);
    state = after(reduced(state, { type: 'view', view: seen(rowsOf('xy'), { key: 'other', workspace: 'second' }) }), KEEP);
    assert.deepEqual([request(state).workspace, request(state).actions.length], ['demo', 1]);
    state = reduced(after(state, SENT), { type: 'view', view: seen(rowsOf('y'), { page: 'me', done_up_to: 1, key: 'other', workspace: 'second' }) });
    assert.deepEqual([request(state).workspace, request(state).actions[0].id], ['second', 'x']);
  });
  test('the place stays where it was; where the picture is gone, it is the one the server says', () => {
    const state = after(opened(rowsOf('abcd')), { type: 'move', step: 2 });
    assert.equal(reduced(state, { type: 'view', view: seen(rowsOf('bcd')) }).current, 'c');
    assert.equal(reduced(state, { type: 'view', view: seen(rowsOf('abd'), { start: 10, position: 12, shown: 20 }) }).current, 'd');
    assert.equal(reduced(state, { type: 'view', view: seen(rowsOf('ab'), { position: 9 }) }).current, 'b');
  });
  test('while nothing is under way it is asked whether somebody else decided', () => {
    const state = opened(rowsOf('ab'));
    assert.deepEqual(question(state), { mark: '1-1', key: 'demo|latest', at: 'a', many: false });
    assert.equal(question(after(state, KEEP)), null);
    assert.equal(question(opened([], { run: '' })), null);
  });
});

describe('somebody else', () => {
  const fate = { id: 'a', words: 'removed' };
  test('what they took stays on the screen and can no longer be decided on', () => {
    let state = reduced(opened(rowsOf('abc')), { type: 'view', view: seen(rowsOf('bc'), { mark: '1-2', fate }) });
    assert.deepEqual([ids(state), state.current, shown(state).taken], ['abc', 'a', 'removed']);
    state = after(state, KEEP);
    assert.match(state.told.text, /^Nothing was done: somebody else decided on it, it was removed/);
    assert.equal(state.waiting.length, 0);
    assert.equal(after(state, { type: 'move', step: 1 }).current, 'b');
  });
  test('my own decision on it is no news', () => {
    const state = reduced(after(opened(rowsOf('abc')), KEEP, SENT), { type: 'view', view: seen(rowsOf('bc'), { page: 'me', done_up_to: 1, fate }) });
    assert.deepEqual([ids(state), state.current], ['bc', 'b']);
  });
  test('what they took of a selection is selected no more, and told', () => {
    const state = after(opened(rowsOf('abc'), {}, true), { type: 'all' });
    const next = reduced(state, { type: 'view', view: seen(rowsOf('bc'), { mark: '1-2', fate }) });
    assert.deepEqual([ids(next), chosen(next), next.told.text], ['bc', 'bc', 'Somebody else decided on 1 picture of your selection.']);
  });
});

describe('moving and selecting', () => {
  test('back and forth ends at the ends', () => {
    const state = opened(rowsOf('abc'));
    assert.equal(after(state, { type: 'move', step: -1 }), state);
    assert.equal(after(state, { type: 'move', step: 1 }, { type: 'move', step: 1 }).current, 'c');
  });
  test('a range grows and shrinks from its anchor, and a plain move drops it', () => {
    const right = { type: 'move', step: 1, extend: true };
    let state = after(opened(rowsOf('abcde')), { type: 'move', step: 1 }, right, right);
    assert.equal(chosen(state), 'bcd');
    state = after(state, { type: 'move', step: -1, extend: true });
    assert.equal(chosen(state), 'bc');
    assert.equal(chosen(after(state, { type: 'move', step: 1 })), '');
  });
  test('a click on the strip goes there; with Shift it selects up to there', () => {
    const state = after(opened(rowsOf('abcde')), { type: 'go', id: 'b' }, { type: 'go', id: 'd', extend: true });
    assert.deepEqual([state.current, chosen(state)], ['d', 'bcd']);
    assert.equal(chosen(after(state, { type: 'go', id: 'e' })), '');
  });
  test('many at once: click selects and unselects, Shift selects a range, a decision needs a selection', () => {
    let state = after(opened(rowsOf('abcde')), { type: 'mode', many: true });
    assert.match(after(state, KEEP).told.text, /^Select pictures first/);
    state = after(state, { type: 'select', id: 'b' }, { type: 'select', id: 'd', extend: true });
    assert.equal(chosen(state), 'bcd');
    state = after(state, { type: 'select', id: 'c' });
    assert.deepEqual([chosen(state), targets(state).map((one) => one.id)], ['bd', ['b', 'd']]);
    state = after(state, KEEP);
    assert.deepEqual([ids(state), kinds(state), chosen(state)], ['ace', ['keep:bd'], '']);
    assert.equal(after(state, { type: 'select', id: 'a' }, { type: 'none' }).selected.size, 0);
  });
  test('the suggestion for many leaves those that have none', () => {
    const rows = [row('a'), row('b', { suggested: 'ant' }), row('c', { suggested: 'cat' })];
    const state = after(opened(rows, {}, true), { type: 'all' }, { type: 'suggested' });
    assert.deepEqual([ids(state), state.told.text], ['b', '2 pictures relabelled. 1 picture left. U takes it back.']);
    assert.deepEqual(state.waiting[0].items.map((item) => item.label), ['bee', 'cat']);
    assert.equal(state.waiting[0].seen, null);
  });
});

describe('the grid', () => {
  const laid = (state) => ({ ...state, grid: { columns: 2, size: 4 } });
  const grid = (...events) => after(laid(opened(rowsOf('abcdefghij'), {}, true)), { type: 'mode', many: true }, ...events);
  const on = (state) => onGrid(state).map((one) => one.id).join('');
  test('pages turn by whole grids and end at the last page', () => {
    const next = { type: 'turn', way: 1 };
    assert.equal(on(grid(next)), 'efgh');
    assert.equal(on(grid(next, next)), 'ij');
    assert.equal(on(grid(next, next, next)), 'ij');
    assert.equal(on(grid(next, { type: 'turn', way: -1 }, { type: 'turn', way: -1 })), 'abcd');
  });
  test('it goes along with the keys, a row at a time', () => {
    const down = { type: 'move', step: 2 };
    const state = grid(down, down);
    assert.deepEqual([state.current, on(state)], ['e', 'cdef']);
    assert.equal(on(after(state, { type: 'move', step: -2 }, { type: 'move', step: -2 })), 'abcd');
  });
  test('deciding on all of the last page leads to what is left', () => {
    const next = { type: 'turn', way: 1 };
    const state = grid(next, next, { type: 'all' }, { type: 'remove' });
    assert.deepEqual([ids(state), state.first, state.current], ['abcdefgh', 'h', 'h']);
  });
  test('a decision on the first page keeps its place', () => {
    const state = grid({ type: 'select', id: 'c' }, { type: 'select', id: 'a' }, KEEP);
    assert.deepEqual([on(state), state.current], ['bdef', 'b']);
  });
});

describe('asking for more', () => {
  const many = rowsOf('abcdefghijklmnopqrst');
  test('near the end of the stretch, near its beginning, and where a picture is not made large yet', () => {
    const state = opened(many, { shown: 100 });
    assert.equal(state.wanted, false);
    assert.equal(after(state, { type: 'move', step: 4 }).wanted, false);
    assert.equal(after(state, { type: 'move', step: 5 }).wanted, true);
    assert.equal(opened(many, { start: 5, position: 5, shown: 25 }).wanted, true);
    assert.equal(after(opened(many), { type: 'move', step: 19 }).wanted, false);
    const unmade = [row('a'), row('b'), row('c', { large: null })];
    assert.equal(opened(unmade).wanted, false);
    assert.equal(after(opened(unmade), { type: 'move', step: 1 }).wanted, true);
    assert.equal(opened([row('a', { large: null, trouble: 'It cannot be opened.' })]).wanted, false);
  });
  test('such a request carries no decision, and is made once', () => {
    const state = after(opened(many, { shown: 100 }), { type: 'move', step: 12 });
    assert.deepEqual(request(state), { page: 'me', workspace: 'demo', actions: [], at: 'm', many: false });
    assert.equal(request(after(state, SENT)), null);
    assert.equal(after(state, SENT).wanted, false);
  });
});

describe('several labels a picture', () => {
  const several = (rows, many = false) => opened(rows, { several: true }, many);
  const label = (name) => ({ type: 'label', name });
  test('keys toggle a draft, Enter confirms it', () => {
    let state = after(several([row('a'), row('b')]), label('cat'));
    assert.deepEqual([drafted(state, shown(state)), state.waiting.length], [['ant', 'cat'], 0]);
    state = after(state, label('ant'), label('bee'), { type: 'confirm' });
    assert.equal(state.waiting[0].label, 'bee|cat');
    assert.equal(state.draft, null);
  });
  test('confirming what is there already keeps it; no label at all is refused', () => {
    assert.deepEqual(kinds(after(several([row('a')]), { type: 'confirm' })), ['keep:a']);
    const none = after(several([row('a')]), label('ant'), { type: 'confirm' });
    assert.match(none.told.text, /^A picture needs one label at least/);
    assert.equal(none.waiting.length, 0);
  });
  test('"none of them" stands alone', () => {
    let state = after(several([row('a')]), label('(none)'));
    assert.deepEqual(state.draft, ['(none)']);
    state = after(state, label('cat'));
    assert.deepEqual(state.draft, ['cat']);
  });
  test('a draft is dropped where another picture comes', () => {
    assert.equal(after(several(rowsOf('ab')), label('cat'), { type: 'move', step: 1 }).draft, null);
  });
  test('for many, a class is added where one lacks it, else taken off all', () => {
    const rows = [row('a', { label: 'ant|cat' }), row('b')];
    const added = after(several(rows, true), { type: 'all' }, label('cat'));
    assert.deepEqual([kinds(added), added.waiting[0].label], [['relabel:b'], 'ant|cat']);
    const off = after(several([row('a', { label: 'ant|cat' }), row('b', { label: 'bee|cat' })], true), { type: 'all' }, label('cat'));
    assert.deepEqual(off.waiting[0].items.map((item) => item.label), ['ant', 'bee']);
    const last = after(several([row('a', { label: 'cat' })], true), { type: 'all' }, label('cat'));
    assert.deepEqual([last.waiting.length, last.told.warning], [0, true]);
  });
});

describe('the keys of the classes', () => {
  test('nine digits, then 0, then letters that are no commands', () => {
    assert.deepEqual([0, 8, 9, 10, 26, 27].map(keyOf), ['1', '9', '0', 'B', 'Z', '']);
  });
  test('with few classes each has its own; with more, the likeliest ten of what is looked at', () => {
    assert.deepEqual(keyed(opened(rowsOf('a'))), ['ant', 'bee', 'cat']);
    const classes = Array.from({ length: 40 }, (_, index) => 'class ' + index);
    const likely = ['class 7', 'class 3'];
    const state = opened([row('a', { suggested: 'class 9', likely }), row('b', { label: 'class 1', suggested: 'class 2' })], { classes });
    assert.deepEqual(keyed(state), ['class 9', 'class 7', 'class 3']);
    const both = after(state, { type: 'mode', many: true });
    assert.deepEqual(keyed(both), ['class 9', 'class 2', 'ant', 'class 7', 'class 1', 'class 3']);
  });
  test('a typed text: those that begin so first; the very same, then any case, then the first, else a new one', () => {
    const classes = ['polar bear', 'Bear', 'bee'];
    assert.deepEqual(matching(classes, 'bea'), ['Bear', 'polar bear']);
    assert.equal(meant(classes, 'bear'), 'Bear');
    assert.equal(meant(classes, 'be'), 'Bear');
    assert.equal(meant(['bear', 'BEAR'], 'BEAR'), 'BEAR');
    assert.equal(meant(classes, 'pol'), 'polar bear');
    assert.equal(meant(classes, 'lar'), 'lar');
  });
});

test('the place of a picture that is not there is -1', () => {
  assert.equal(indexOf(opened(rowsOf('ab')), 'z'), -1);
});
