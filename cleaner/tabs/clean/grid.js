// Many pictures at once: select them by click, touch or key, and decide on all of them together.
const MOST = 42;
// Whole rows, where the page is laid out already.
const gridSize = () => (window.innerWidth < 760 ? 24 : tiles.offsetParent ? columns() * Math.max(1, Math.floor(MOST / columns())) : MOST);
const gridStart = () => Math.max(0, indexOf(first));
const onGrid = () => rows.slice(gridStart(), gridStart() + gridSize());
const columns = () => getComputedStyle(tiles).gridTemplateColumns.split(' ').length;

const gridBack = button('Previous', '', 'grid-back', () => turn(-1));
const gridOn = button('Next', '', 'grid-on', () => turn(1));
const selectAll = button('All', 'A', 'all', () => everything());
const selectNone = button('None', 'Esc', 'none', () => nothing());

const everything = () => {
  onGrid().forEach((row) => selected.add(row.id));
  draw();
};
const nothing = () => {
  selected.clear();
  anchor = current;
  draw();
};
const turn = (way) => {
  const place = Math.min(Math.max(gridStart() + way * gridSize(), 0), Math.max(rows.length - 1, 0));
  if (!rows[place] || (way > 0 && gridStart() + gridSize() >= rows.length)) return;
  first = current = anchor = rows[place].id;
  draw();
  look();
};
// The grid goes along when the place leaves it.
const turnTo = (id) => {
  const place = indexOf(id);
  const start = gridStart();
  if (place < start) first = rows[Math.max(0, place - (place % columns()))].id;
  else if (place >= start + gridSize()) first = rows[Math.min(rows.length - 1, start + columns())].id;
};
const tile = (row) => {
  const node = make('button', 'tile');
  node.dataset.id = row.id;
  node.append(row.thumbnail ? picture(row.thumbnail, '') : make('span', 'quiet', 'no picture'));
  const words = make('span', 'words');
  words.append(make('b', '', said(row.label)));
  if (row.suggested !== row.label) words.append(make('span', 'quiet', said(row.suggested) + '?'));
  node.append(words);
  node.title = row.name + '. ' + row.why;
  node.addEventListener('click', (event) => {
    select(row.id, event.shiftKey);
    go(row.id);
  });
  return node;
};
const drawGrid = () => {
  const part = onGrid();
  const all = JSON.stringify(part.map((row) => [row.id, row.label, row.suggested]));
  if (tiles.dataset.all !== all) {
    tiles.dataset.all = all;
    const old = new Map([...tiles.children].map((node) => [node.dataset.id + node.textContent, node]));
    const nodes = part.map(tile).map((node) => old.get(node.dataset.id + node.textContent) || node);
    keepFocus(tiles, () => tiles.replaceChildren(...nodes), '[tabindex="0"]');
  }
  for (const node of tiles.children) {
    const here = node.dataset.id === current;
    node.setAttribute('aria-pressed', String(selected.has(node.dataset.id)));
    node.classList.toggle('here', here);
    node.tabIndex = here ? 0 : -1;
    if (here && tiles.contains(document.activeElement) && document.activeElement !== node) node.focus({ preventScroll: true });
    if (here && tiles.contains(document.activeElement)) node.scrollIntoView({ block: 'nearest' });
  }
  const chosen = selected.size ? pictures(selected.size) + ' selected' : 'Select pictures, then decide on all of them';
  const turning = make('div', 'acts');
  turning.append(selectAll, selectNone, gridBack, gridOn);
  gridBack.disabled = gridStart() + view.start === 0;
  gridOn.disabled = view.start + gridStart() + gridSize() >= view.shown;
  keepFocus(facts, () => facts.replaceChildren(make('p', 'chosen', chosen), turning), 'button');
};
