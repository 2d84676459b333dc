// The history in a dialog over the page; going back to a point asks once, and what was taken back can be redone.
import { action, focused, make, near, pager, picture } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {object} Row  a step: decisions made in one go
 * @property {number} first
 * @property {number} last
 * @property {number} later  how many decisions were made after it
 * @property {number} standing  how many of its decisions are not taken back
 * @property {number} redoable  how many can be redone
 * @property {string} words
 * @property {string} name
 * @property {string} when
 * @property {string} at
 * @property {(string | null)[]} pictures
 * @property {number} more
 * 
 * @typedef {Pick<Row, 'first' | 'last' | 'later'>} Point
 * @typedef {object} View  `standing` and `redoable` count the whole journal
 * @property {string} workspace
 * @property {string} mark
 * @property {number} page
 * @property {number} pages
 * @property {number} standing
 * @property {number} redoable
 * @property {string} message
 * @property {boolean} warning
 * @property {Row[]} rows
 */

const root = element.querySelector('.history');
const dialog = make('dialog');
root.append(dialog);
/** @type {View} */
let view;
/** @type {Point | null} */
let asking = null;

/** @param {'step' | 'point' | 'redo' | 'redo_to'} kind @param {Point} row */
const send = (kind, row) => {
  asking = null;
  trigger('undo', { kind, workspace: view.workspace, mark: view.mark, page: view.page, first: row.first, last: row.last });
};
/** @param {number} n */
const later = (n) => (n === 1 ? 'the decision' : 'the ' + n.toLocaleString('en') + ' decisions');
/** @param {string} words @param {string} name @param {() => void} run */
const act = (words, name, run) => {
  const node = action(words, name);
  node.addEventListener('click', run);
  return node;
};
/** @param {string} name @returns {boolean} whether there is such a button */
const focus = (name) => {
  const button = [...dialog.querySelectorAll('button')].find((one) => one.dataset.do === name && !one.disabled);
  button?.focus();
  return Boolean(button);
};
/** @param {Point} row */
const ask = (row) => {
  asking = row;
  draw();
  focus('no');
};
/** @param {Point} row */
const question = (row) => {
  const box = make('div', 'ask');
  box.append(
    make('span', '', 'Take back ' + later(row.later) + ' made after this point, by whomever?'),
    act('Take back', 'yes', () => send('point', row)),
    act('No', 'no', () => {
      asking = null;
      draw();
      focus('close');
    }),
  );
  return box;
};
/** @param {Row} row */
const line = (row) => {
  const node = make('li', row.standing ? '' : 'undone');
  const words = make('div', 'words');
  const about = make('span', 'quiet', [row.name, row.when].filter(Boolean).join(' · '));
  about.title = row.at;
  words.append(make('b', '', row.words), about);
  if (!row.standing) words.append(make('span', 'quiet', 'taken back'));
  const shots = make('div', 'shots');
  for (const path of row.pictures) {
    const image = picture(path, '');
    image.loading = 'lazy';
    shots.append(path ? image : make('span', 'quiet', 'no picture'));
  }
  if (row.more > 0) shots.append(make('span', 'quiet', '+' + row.more.toLocaleString('en')));
  const acts = make('div', 'acts');
  if (row.standing) acts.append(act('Take back', 'step', () => send('step', row)));
  if (row.later) acts.append(act('Back to here', 'point', () => ask(row)));
  if (row.redoable) acts.append(act('Redo to here', 'redo-to', () => send('redo_to', row)));
  node.append(shots, words, acts);
  if (asking && asking.last === row.last) node.append(question(row));
  return node;
};
const draw = () => {
  const head = make('div', 'head');
  const close = act('Close', 'close', () => dialog.close());
  const start = { first: 0, last: 0, later: view.standing };
  head.append(make('h3', '', 'History'));
  if (view.redoable) head.append(act('Redo', 'redo', () => send('redo', start)));
  if (view.standing) head.append(act('Back to the start', 'start', () => ask(start)));
  head.append(close);
  const told = make('p', view.warning ? 'message warning' : 'message', view.message);
  told.setAttribute('role', 'status');
  const list = make('ol');
  list.append(...view.rows.map(line));
  const parts = [head, told];
  if (asking && asking.last === 0) parts.push(question(asking));
  if (!view.rows.length) parts.push(make('p', 'empty', 'Nothing was decided yet.'));
  dialog.replaceChildren(...parts, list, ...(view.pages > 1 ? [turner()] : []));
};
const turner = () => {
  const box = pager(view);
  box.addEventListener('click', (event) => {
    const button = near(event, 'button');
    if (button && !button.disabled) trigger('turn', { page: view.page + (button.dataset.do === 'on' ? 1 : -1) });
  });
  return box;
};
const receive = () => {
  if (!props.value) return;
  view = props.value;
  asking = null;
  const had = focused(dialog)?.dataset.do ?? '';
  draw();
  if (!dialog.open) dialog.showModal();
  // Who turns pages goes on turning; for everybody else Enter does no harm.
  if (!['on', 'back'].includes(had) || !focus(had)) focus('close');
};
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) dialog.close();
});
watch('value', receive);
