// The history in a dialog over the page; going back to a point asks once.
import { action, make, near, pager, picture } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {object} Row  a step: decisions made in one go
 * @property {number} first
 * @property {number} last
 * @property {number} later  how many decisions were made after it
 * @property {boolean} standing  not taken back
 * @property {string} words
 * @property {string} name
 * @property {string} when
 * @property {string} at
 * @property {(string | null)[]} pictures
 * @property {number} more
 * 
 * @typedef {Pick<Row, 'first' | 'last' | 'later'>} Point
 * @typedef {{ workspace: string, mark: string, page: number, pages: number, message: string, warning: boolean, rows: Row[] }} View
 */

const root = element.querySelector('.history');
const dialog = make('dialog');
root.append(dialog);
/** @type {View} */
let view;
/** @type {Point | null} */
let asking = null;

/** @param {string} kind @param {Point} row */
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
/** @param {Point} row */
const ask = (row) => {
  asking = row;
  draw();
  dialog.querySelector('[data-do="yes"]')?.focus();
};
/** @param {Point} row */
const question = (row) => {
  const box = make('div', 'ask');
  box.append(
    make('span', '', 'Take back ' + later(row.later) + ' made after this point, by whomever?'),
    act('Take back', 'yes', () => send('point', row)),
    act('No', 'no', () => ((asking = null), draw())),
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
  node.append(shots, words, acts);
  if (asking && asking.last === row.last) node.append(question(row));
  return node;
};
const draw = () => {
  const head = make('div', 'head');
  const close = act('Close', 'close', () => dialog.close());
  const standing = view.rows.reduce((sum, row) => Math.max(sum, row.later + Number(row.standing)), 0);
  head.append(make('h3', '', 'History'), close);
  if (standing && view.page === 0) head.insertBefore(act('Back to the start', 'start', () => ask(start(standing))), close);
  const told = make('p', view.warning ? 'message warning' : 'message', view.message);
  told.setAttribute('role', 'status');
  const list = make('ol');
  list.append(...view.rows.map(line));
  const parts = [head, told];
  if (asking && asking.last === 0) parts.push(question(asking));
  if (!view.rows.length) parts.push(make('p', 'empty', 'Nothing was decided yet.'));
  dialog.replaceChildren(...parts, list, ...(view.pages > 1 ? [turner()] : []));
};
/** @param {number} standing @returns {Point} */
const start = (standing) => ({ first: 0, last: 0, later: standing });
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
  draw();
  if (!dialog.open) dialog.showModal();
};
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) dialog.close();
});
watch('value', receive);
