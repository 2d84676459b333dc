// A sheet as a value: what it is after every event, and what it sends. Run by tests/tabs/page/test_javascript.py.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { chosen, newState, proposed, question, reduced, wantsWord } from '../../../pipeline/tabs/label/sheet_state.js';

const sheetOf = (ids, more = {}) => ({
  id: 'of ' + ids, suggested: 'apple', copies: 0, images: [...ids].map((id) => ({ id, name: id + '.jpg', thumbnail: null })), ...more,
});
const seen = (more = {}) => ({
  workspace: 'heap', mark: '1-0', unseen: 0, working: false, keep: false, of: '', sheet: sheetOf('abcdef'), classes: ['apple', 'pear'],
  several: false, none: 'none of these', progress: '', share: 0, note: '', empty: '', told: { words: '', warning: false }, made: '',
  forget: false, answer: { page: '', number: 0 }, ...more,
});
const after = (state, ...events) => events.reduce(reduced, state);
const opened = (more = {}) => after(newState({ page: 'me', sent: 0, answered: 0 }), { type: 'view', view: seen(more) });
const struck = (state) => [...state.struck].sort().join('');
const answered = (state, more = {}) =>
  reduced(state, { type: 'view', view: seen({ mark: '2-0', sheet: sheetOf('gh'), answer: { page: 'me', number: state.talk.sent }, ...more }) });
const NAME = { type: 'name', label: 'apple' };

describe('striking out', () => {
  test('a press strikes out and takes back; the others are named', () => {
    const state = after(opened(), { type: 'strike', place: 1 }, { type: 'strike', place: 3 }, { type: 'strike', place: 1 });
    assert.equal(struck(state), 'd');
    assert.equal(chosen(state).map((one) => one.id).join(''), 'abcef');
    assert.equal(struck(after(state, { type: 'clear' })), '');
  });
  test('a range goes from where it began, and shrinks again', () => {
    const state = after(opened(), { type: 'strike', place: 0 }, { type: 'move', step: 2 }, { type: 'move', step: 2, extend: true });
    assert.equal(struck(state), 'acde');
    assert.equal(struck(after(state, { type: 'move', step: -1, extend: true })), 'acd');
    assert.equal(struck(after(opened(), { type: 'strike', place: 4 }, { type: 'strike', place: 2, extend: true })), 'cde');
  });
  test('the keys stay on the sheet', () => {
    assert.equal(after(opened(), { type: 'move', step: -1 }).place, 0);
    assert.equal(after(opened(), { type: 'move', step: 5 }, { type: 'move', step: 4, extend: true }).place, 5);
  });
});

describe('naming', () => {
  test('it is sent once, with what was struck out, and the next sheet comes clean', () => {
    const sent = after(opened(), { type: 'strike', place: 1 }, NAME, { type: 'name', label: 'pear' });
    assert.deepEqual(sent.message, {
      page: 'me', number: 1, workspace: 'heap', kind: 'name', sheet: 'of abcdef', label: 'apple', but: ['b'], images: [...'abcdef'], about: '',
    });
    const next = answered(sent, { made: 'a' });
    assert.equal(next.message, null);
    assert.equal(next.sheet.id, 'of gh');
    assert.equal(struck(next), '');
  });
  test('nothing is named nothing', () => {
    assert.equal(after(opened(), { type: 'name', label: '' }).message, null);
    assert.equal(after(opened({ sheet: null }), NAME).message, null);
  });
  test('with several labels a class is one more or less, and Enter names them all', () => {
    const state = after(opened({ several: true }), { type: 'take', label: 'pear' });
    assert.equal(proposed(state), 'apple|pear');
    assert.equal(proposed(after(state, { type: 'take', label: 'apple' })), 'pear');
    assert.equal(proposed(after(state, { type: 'take', label: 'none of these' })), 'none of these');
    assert.equal(proposed(after(state, { type: 'take', label: 'none of these' }, { type: 'take', label: 'pear' })), 'pear');
  });
  test('an answer that never came is said, and another may be given', () => {
    const sent = after(opened(), NAME, { type: 'sent', at: 1000 }, { type: 'tick', at: 30_000 });
    assert.notEqual(sent.message, null);
    const given = after(sent, { type: 'tick', at: 31_000 });
    assert.equal(given.message, null);
    assert.match(given.told.text, /No answer/);
  });
});

describe('undo', () => {
  test('it is about what this page did, and what was struck out comes back with the sheet', () => {
    const next = answered(after(opened(), { type: 'strike', place: 1 }, NAME), { made: 'a' });
    const back = after(next, { type: 'undo' });
    assert.deepEqual([back.message.kind, back.message.about], ['undo', 'a']);
    assert.equal(struck(answered(back, { sheet: sheetOf('abcdef') })), 'b');
  });
  test('what was taken back is redone, and can be taken back again; a new answer ends that', () => {
    const next = answered(after(opened(), { type: 'strike', place: 1 }, NAME), { made: 'a' });
    const back = answered(after(next, { type: 'undo' }), { sheet: sheetOf('abcdef') });
    const redo = after(back, { type: 'redo' });
    assert.deepEqual([redo.message.kind, redo.message.about, redo.message.but.join('')], ['redo', 'a', 'b']);
    const again = answered(redo, { made: 'a' });
    assert.deepEqual([again.ahead.length, again.history], [0, next.history]);
    assert.equal(after(again, { type: 'redo' }).message.about, '');
    assert.equal(answered(after(back, NAME), { made: 'c' }).ahead.length, 0);
  });
  test('what is no longer its own is forgotten: the next one is whosever it is', () => {
    const next = answered(after(opened(), NAME), { made: 'a' });
    const refused = answered(after(next, { type: 'undo' }), { forget: true });
    assert.equal(after(refused, { type: 'undo' }).message.about, '');
  });
});

describe('two people, and a look that goes on', () => {
  test('what comes unasked leaves a sheet alone on which something was struck out', () => {
    const mine = after(opened(), { type: 'strike', place: 2 });
    const later = after(mine, { type: 'view', view: seen({ mark: '5-0', sheet: sheetOf('xyz') }) });
    assert.deepEqual([later.sheet.id, struck(later), later.view.mark], ['of abcdef', 'c', '1-0']);
    assert.equal(after(opened(), { type: 'view', view: seen({ sheet: sheetOf('xyz') }) }).sheet.id, 'of xyz');
  });
  test('how far it is comes in, and the sheet stays', () => {
    const later = after(opened(), { type: 'view', view: seen({ of: 'of abcdef', keep: true, sheet: null, classes: [], unseen: 7 }) });
    assert.deepEqual([later.sheet.id, later.view.unseen, later.view.classes.length], ['of abcdef', 7, 2]);
  });
  test('the next sheet comes where somebody else was there, but not for a sheet that is gone', () => {
    const told = { words: 'Somebody else', warning: true };
    const state = after(opened(), { type: 'strike', place: 0 });
    assert.equal(after(state, { type: 'view', view: seen({ of: 'of abcdef', sheet: sheetOf('xyz'), told }) }).sheet.id, 'of xyz');
    assert.equal(after(state, { type: 'view', view: seen({ of: 'of old', sheet: sheetOf('xyz'), told }) }), state);
  });
  test('it asks while something may change, and not while an answer is under way', () => {
    assert.deepEqual(question(opened()), { workspace: 'heap', mark: '1-0', working: false, of: 'of abcdef', images: [...'abcdef'] });
    assert.equal(question(after(opened(), NAME)), null);
    assert.equal(question(opened({ sheet: null })), null);
    assert.notEqual(question(opened({ sheet: null, working: true })), null);
  });
  test('another workspace is another state', () => {
    const state = after(opened(), { type: 'strike', place: 0 }, { type: 'view', view: seen({ workspace: 'other' }) });
    assert.deepEqual([struck(state), state.history.length, state.since], ['', 0, -1]);
  });
});

test('the model is asked for its word at first, and then every five answers', () => {
  let state = opened();
  assert.equal(wantsWord(state), true);
  state = after(state, { type: 'asked' });
  for (let number = 1; number <= 5; number += 1) {
    assert.equal(wantsWord(state), false);
    state = answered(after(state, NAME), { made: 'a' });
  }
  assert.equal(wantsWord(state), true);
});
