// The confusion matrix: click, or arrow keys and Enter, on a cell shows its images.
const root = element.querySelector('.matrix');
let chosen = null;

const choose = (button) => {
  chosen = button.dataset.i + ',' + button.dataset.j;
  mark();
  const classes = props.value.classes;
  trigger('cell', { actual: classes[+button.dataset.i], predicted: classes[+button.dataset.j] });
};
const mark = () => {
  for (const button of root.querySelectorAll('td button')) {
    button.setAttribute('aria-pressed', String(button.dataset.i + ',' + button.dataset.j === chosen));
  }
};

const cell = (view, i, j) => {
  const count = view.counts[i][j];
  const button = make('button', count === 0 ? 'zero' : i === j ? 'right' : 'wrong', count);
  const total = view.counts[i].reduce((sum, n) => sum + n, 0);
  button.style.setProperty('--share', total ? count / total : 0);
  button.dataset.i = i;
  button.dataset.j = j;
  button.tabIndex = i === 0 && j === 0 ? 0 : -1;
  const words = i === j ? ' recognised' : ' taken for ' + view.classes[j];
  button.title = count + ' × ' + view.classes[i] + words;
  button.setAttribute('aria-label', button.title);
  const box = make('td');
  box.append(button);
  return box;
};

const draw = () => {
  const view = props.value;
  root.replaceChildren();
  if (!view || !view.classes.length) {
    if (view && view.empty) root.append(make('p', 'empty', view.empty));
    return;
  }
  if (view.key !== draw.key) chosen = null;
  draw.key = view.key;
  root.append(make('p', 'axis quiet', view.note));
  const table = make('table');
  const head = make('tr');
  head.append(make('td'));
  const body = make('tbody');
  view.classes.forEach((name, i) => {
    const column = make('th');
    column.scope = 'col';
    column.title = name;
    column.append(make('span', '', name));
    head.append(column);
    const row = make('tr');
    const title = make('th', '', name);
    title.scope = 'row';
    title.title = name;
    row.append(title, ...view.classes.map((_, j) => cell(view, i, j)));
    body.append(row);
  });
  const top = make('thead');
  top.append(head);
  table.append(top, body);
  const scroll = make('div', 'scroll');
  scroll.append(table);
  root.append(scroll);
  mark();
};

element.addEventListener('click', (event) => {
  const button = event.target.closest('td button');
  if (button) choose(button);
});
element.addEventListener('keydown', (event) => {
  const button = event.target.closest('td button');
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!button || !step) return;
  event.preventDefault();
  const [i, j] = [+button.dataset.i + step[0], +button.dataset.j + step[1]];
  const next = root.querySelector(`td button[data-i="${i}"][data-j="${j}"]`);
  if (!next) return;
  button.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
watch('value', draw);
draw();
