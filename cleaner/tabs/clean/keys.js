// Keys, and the help that tells them.
import { make, near } from '../../../pipeline/tabs/page/common.js';
import { keyed, keyOf } from './class_keys.js';
import { button, classes, clearField, drawClasses, field } from './desk.js';
import { layout } from './grid.js';
import { dispatch, now } from './store.js';

/** @typedef {import('./queue_state.js').State} State */

const KEYS = [
  ['K', 'keep: the label is right'], ['D', 'take the image out'], ['S', 'take the suggested label'],
  ['1 … 9, 0, letters', 'give it that class; with more classes than keys, the likeliest ten have the digits'],
  ['N or /', 'type another or a new class: Enter takes the first that begins so, Shift+Enter a new one'],
  ['U', 'undo what was decided last, all of it if it was many'],
  ['Shift + U', 'redo what was taken back, step by step, until something new is decided'], ['← →', 'look back and forth without deciding'],
  ['Shift + ← →', 'select a range; then K, D, S or a class is for all of it'], ['G', 'many at once, or one at a time'],
  ['A, Esc', 'many at once: select all, or none; arrows and Space select, Shift selects a range, as Shift and click does'],
  ['I', 'the whole story of the picture, and where the network looked'],
  ['H', 'history: everything decided so far, to take back'], ['?', 'this help'],
];
const SEVERAL_KEYS = [['1 … 9, 0, letters', 'add the label, or take it off again'], ['Enter', 'the labels are right like this']];

export const help = make('dialog');
export const helpButton = button('?', '', 'help', () => {
  drawHelp();
  help.showModal();
});
export const historyButton = button('History', 'H', 'history', () => trigger('history', { page: 0 }));
export const storyButton = button('Story', 'I', 'story', () => {
  const { current } = now();
  if (current) trigger('open', { id: current });
});
helpButton.classList.add('help-button');
helpButton.setAttribute('aria-label', 'Help');

const drawHelp = () => {
  const list = make('dl');
  const several = now().view?.several;
  for (const [key, words] of several ? [...SEVERAL_KEYS, ...KEYS.filter(([key]) => key[0] !== '1')] : KEYS) {
    const term = make('dt');
    term.append(make('kbd', '', key));
    list.append(term, make('dd', '', words));
  }
  const close = button('Close', 'Esc', 'close', () => help.close());
  help.replaceChildren(list, make('p', 'quiet', 'Every decision is saved at once, and can be undone and redone.'), close);
};

/** @param {KeyboardEvent} event */
const typing = (event) =>
  Boolean(near(event, 'input, textarea, select, [contenteditable="true"], [role="combobox"], [role="listbox"]'));
/** @param {State} state @param {KeyboardEvent} event @param {string} key @returns {(() => void) | null} */
const arrow = ({ many }, event, key) => {
  const { columns } = layout();
  const steps = { arrowleft: -1, arrowright: 1, arrowup: many ? -columns : 0, arrowdown: many ? columns : 0 };
  const step = steps[/** @type {keyof typeof steps} */ (key)];
  return step ? () => dispatch({ type: 'move', step, extend: event.shiftKey }) : null;
};
const type = () => {
  field.focus();
  field.select();
};
/** @param {State} state @param {KeyboardEvent} event @param {string} key @returns {(() => void) | null} */
const command = (state, event, key) => {
  const { view, many, current, selected } = state;
  const at = near(event, 'button');
  // The tab that was clicked to come here has the focus, and a class may; other buttons keep their Enter and Space.
  const onButton = at && at.getAttribute('role') !== 'tab' && !(view?.several && classes.contains(at));
  /** @type {Record<string, (() => void) | null>} */
  const acts = {
    k: () => dispatch({ type: 'keep' }),
    d: () => dispatch({ type: 'remove' }),
    u: () => dispatch({ type: event.shiftKey ? 'redo' : 'undo' }),
    s: () => dispatch({ type: 'suggested' }),
    n: type,
    '/': type,
    g: () => dispatch({ type: 'mode', many: !many }),
    h: () => historyButton.click(),
    i: () => storyButton.click(),
    '?': () => helpButton.click(),
    a: many ? () => dispatch({ type: 'all' }) : null,
    escape: selected.size ? () => dispatch({ type: 'none' }) : null,
    ' ': many && current && !onButton ? () => dispatch({ type: 'select', id: current }) : null,
    enter: view?.several && !many && !onButton ? () => dispatch({ type: 'confirm' }) : null,
  };
  const act = acts[key];
  if (act) return act;
  const name = keyed(state).find((_, index) => keyOf(index).toLowerCase() === key);
  return name === undefined ? null : () => dispatch({ type: 'label', name });
};
/** @param {KeyboardEvent} event */
const pressed = (event) => {
  if (!element.isConnected) return document.removeEventListener('keydown', pressed);
  const state = now();
  if (!state.view || element.offsetParent === null || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === field && event.key === 'Escape') {
    clearField();
    return drawClasses();
  }
  if (help.open || document.querySelector('dialog[open]') || typing(event)) return;
  const key = event.key.toLowerCase();
  const act = key.startsWith('arrow') ? arrow(state, event, key) : command(state, event, key);
  if (!act) return;
  event.preventDefault();
  if (event.repeat && !key.startsWith('arrow')) return;
  act();
};
document.addEventListener('keydown', pressed);
