// Many pictures at once: select them by click, touch or key, and decide on all of them together.
import { keepFocus, make, picture } from '../../../pipeline/tabs/page/common.js';
import { button, facts } from './desk.js';
import { gridStart, onGrid, pictures, said } from './queue_state.js';
import { dispatch } from './store.js';

/** @typedef {import('./queue_state.js').Row} Row */
/** @typedef {import('./queue_state.js').State} State */

const MOST = 42;

export const tiles = make('div', 'tiles');
const gridBack = button('Previous', '', 'grid-back', () => dispatch({ type: 'turn', way: -1 }));
const gridOn = button('Next', '', 'grid-on', () => dispatch({ type: 'turn', way: 1 }));
const selectAll = button('All', 'A', 'all', () => dispatch({ type: 'all' }));
const selectNone = button('None', 'Esc', 'none', () => dispatch({ type: 'none' }));

/** How many columns and pictures the grid has: whole rows, where the page is laid out already. */
export const layout = () => {
  const columns = getComputedStyle(tiles).gridTemplateColumns.split(' ').length;
  const rows = Math.max(1, Math.floor(MOST / columns));
  return { columns, size: window.innerWidth < 760 ? 24 : tiles.offsetParent ? columns * rows : MOST };
};
/** @param {Row} row */
const tile = (row) => {
  const node = make('button', 'tile');
  node.dataset.id = row.id;
  node.append(row.thumbnail ? picture(row.thumbnail, '') : make('span', 'quiet', 'no picture'));
  const words = make('span', 'words');
  words.append(make('b', '', said(row.label)));
  if (row.suggested !== row.label) words.append(make('span', 'quiet', said(row.suggested) + '?'));
  node.append(words);
  node.title = row.name + '. ' + row.why;
  node.addEventListener('click', (event) => dispatch({ type: 'select', id: row.id, extend: event.shiftKey }));
  return node;
};
/** @param {State} state */
export const drawGrid = (state) => {
  const { view, selected } = state;
  if (!view) return;
  const part = onGrid(state);
  const all = JSON.stringify(part.map((row) => [row.id, row.label, row.suggested]));
  if (tiles.dataset.all !== all) {
    tiles.dataset.all = all;
    const old = new Map([...tiles.querySelectorAll('button')].map((node) => [(node.dataset.id ?? '') + node.textContent, node]));
    const nodes = part.map(tile).map((node) => old.get((node.dataset.id ?? '') + node.textContent) || node);
    keepFocus(tiles, () => tiles.replaceChildren(...nodes), '[tabindex="0"]');
  }
  for (const node of tiles.querySelectorAll('button')) {
    const here = node.dataset.id === state.current;
    node.setAttribute('aria-pressed', String(selected.has(node.dataset.id ?? '')));
    node.classList.toggle('here', here);
    node.tabIndex = here ? 0 : -1;
    if (here && tiles.contains(document.activeElement) && document.activeElement !== node) node.focus({ preventScroll: true });
    if (here && tiles.contains(document.activeElement)) node.scrollIntoView({ block: 'nearest' });
  }
  const chosen = selected.size ? pictures(selected.size) + ' selected' : 'Select pictures, then decide on all of them';
  const turning = make('div', 'acts');
  turning.append(selectAll, selectNone, gridBack, gridOn);
  gridBack.disabled = gridStart(state) + view.start === 0;
  gridOn.disabled = view.start + gridStart(state) + state.grid.size >= view.shown;
  keepFocus(facts, () => facts.replaceChildren(make('p', 'chosen', chosen), turning), 'button');
};
