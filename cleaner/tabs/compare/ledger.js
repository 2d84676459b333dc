// The ledger: a row a run, on a narrow screen a card; with what to know of the test split below it.
import { make } from '../../../pipeline/tabs/page/common.js';

/**
 * @typedef {{ name: string, cells: [string, string][] }} Row
 * @typedef {{ rows: Row[], notes: string[] }} View
 */

const root = element.querySelector('.ledger');
/** @param {Row} row */
const line = (row) => {
  const node = make('tr');
  const name = make('th', '', row.name);
  name.scope = 'row';
  node.append(name);
  for (const [label, words] of row.cells) {
    const cell = make('td', '', words);
    cell.dataset.label = label;
    node.append(cell);
  }
  return node;
};
/** @param {Row[]} rows */
const whole = (rows) => {
  const [table, thead, tbody, head] = [make('table'), make('thead'), make('tbody'), make('tr')];
  for (const label of ['run', ...rows[0].cells.map(([title]) => title)]) {
    const cell = make('th', '', label);
    cell.scope = 'col';
    head.append(cell);
  }
  thead.append(head);
  tbody.append(...rows.map(line));
  table.append(thead, tbody);
  const scroll = make('div', 'scroll');
  scroll.tabIndex = 0;
  scroll.append(table);
  return scroll;
};
const draw = () => {
  /** @type {View | null} */
  const view = props.value;
  root.replaceChildren();
  if (!view) return;
  if (!view.rows.length) {
    root.append(make('p', 'empty', 'Nothing trained yet. Train a model first; each run becomes a row here.'));
    return;
  }
  root.append(whole(view.rows), ...view.notes.map((note) => make('p', 'quiet', note)));
};
watch('value', draw);
draw();
