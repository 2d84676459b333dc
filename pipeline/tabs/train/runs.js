// The runs as a table, on a narrow screen as cards; one or two of them are picked by their boxes.
import { focused, heard, isDone, make, near, newTalk, numbered, stamp } from '../page/common.js';

/**
 * @typedef {{ id: string, name: string, stopped: boolean, cells: [label: string, words: string][] }} Row
 */

const root = element.querySelector('.runs');
const MOST = 2;
let talk = newTalk();
let drawn = '';
/** @type {string[]} */
let order = []; // the ids that are picked, the last one last

/** @param {'td' | 'th'} tag @param {string} words @param {string} [label] */
const cell = (tag, words, label) => {
  const node = make(tag, '', words);
  if (label) node.dataset.label = label;
  return node;
};
/** @param {Row} row */
const nameOf = (row) => {
  const label = make('label', 'name');
  const input = make('input');
  input.type = 'checkbox';
  input.dataset.id = row.id;
  label.append(input, make('span', '', row.name));
  if (row.stopped) label.append(make('span', 'quiet', 'stopped early'));
  const node = make('th');
  node.scope = 'row';
  node.append(label);
  return node;
};
/** @param {Row} row */
const line = (row) => {
  const node = make('tr');
  node.append(nameOf(row), ...row.cells.map(([label, words]) => cell('td', words, label)));
  return node;
};
/** @param {Row[]} rows */
const whole = (rows) => {
  const head = make('tr');
  head.append(...['run', ...rows[0].cells.map(([label]) => label)].map((label) => cell('th', label)));
  const [table, thead, tbody] = [make('table'), make('thead'), make('tbody')];
  thead.append(head);
  tbody.append(...rows.map(line));
  table.append(thead, tbody);
  const scroll = make('div', 'scroll');
  scroll.append(table);
  return scroll;
};
const inputs = () => [...root.querySelectorAll('input')];
/** @param {string[]} picked */
const marks = (picked) => {
  for (const input of inputs()) {
    input.checked = picked.includes(input.dataset.id ?? '');
    input.closest('tr')?.classList.toggle('picked', input.checked);
  }
};
const draw = () => {
  const view = props.value;
  if (!view) return;
  const now = JSON.stringify([view.workspace, view.rows]);
  talk = heard(talk, view.answer);
  if (drawn && JSON.parse(drawn)[0] !== view.workspace) talk = heard(talk, stamp(talk)); // nothing that was sent counts here
  if (now !== drawn) {
    const had = focused(root)?.dataset.id;
    root.replaceChildren();
    if (view.rows.length) root.append(whole(view.rows));
    else root.append(make('p', 'empty', 'Nothing trained yet. Press Train; the default takes a minute or two.'));
    drawn = now;
    inputs().find((input) => input.dataset.id === had)?.focus({ preventScroll: true });
  }
  if (isDone(talk)) order = view.picked; // else a later pick is on its way
  marks(order);
};
element.addEventListener('change', (event) => {
  const box = near(event, 'input');
  const id = box?.dataset.id;
  if (!id) return;
  const before = inputs().filter((input) => input.checked && input !== box).map((input) => input.dataset.id ?? '');
  order = order.filter((other) => before.includes(other));
  order.push(...before.filter((other) => !order.includes(other)));
  if (box.checked) order.push(id);
  order = order.slice(-MOST);
  marks(order);
  talk = numbered(talk);
  trigger('pick', { workspace: props.value.workspace, ids: order, ...stamp(talk) });
});
watch('value', draw);
draw();
