// Shared by all components. Data reaches the page by textContent and attributes, never as HTML.
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  if (tag === 'button') node.type = 'button';
  return node;
};
const address = (path) =>
  (window.gradio_config?.root || '') + '/gradio_api/file=' + path.split('/').map(encodeURIComponent).join('/');
const percent = (share) => {
  const shown = 100 * share;
  return (shown > 0 && shown < 1 ? '<1' : shown < 100 && shown > 99 ? '>99' : Math.round(shown)) + '%';
};
const picture = (path, alt, className) => {
  const image = make('img', className);
  image.alt = alt;
  image.decoding = 'async';
  if (path) image.src = address(path);
  return image;
};
