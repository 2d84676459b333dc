// The state of the queue as it is now, and the only way to change it. What was not answered for is kept in the browser's
// session: Gradio reloads the page by itself when a connection breaks.
import { bare, newState, reduced } from './queue_state.js';

/** @typedef {import('./queue_state.js').State} State */
/** @typedef {import('./queue_state.js').Event} Event */

const UNSAVED = 'winnow-clean-unsaved';
const MANY = 'winnow-clean-many';

let state = newState(sessionStorage.getItem(MANY) === 'yes');
let layout = () => state.grid;
/** @type {(before: State, event: Event) => void} */
let changed = () => {};

/** `gridNow` measures the grid, `after` draws what an event has changed. @param {() => State['grid']} gridNow @param {typeof changed} after */
export const connect = (gridNow, after) => {
  layout = gridNow;
  changed = after;
};
/** The state, with the grid as it is laid out now. @returns {State} */
export const now = () => ({ ...state, grid: layout() });
/** @param {Event} event */
export const dispatch = (event) => {
  const before = now();
  const after = reduced(before, event);
  if (after === before) return;
  state = after;
  if (state.many !== before.many) sessionStorage.setItem(MANY, state.many ? 'yes' : 'no');
  if (state.waiting.length) sessionStorage.setItem(UNSAVED, JSON.stringify(state.waiting.map(bare)));
  else sessionStorage.removeItem(UNSAVED);
  changed(before, event);
};
/** Take up what was not saved when the page was reloaded. */
export const takeUp = () => {
  const actions = JSON.parse(sessionStorage.getItem(UNSAVED) || '[]');
  if (actions.length) dispatch({ type: 'unsaved', actions });
};
