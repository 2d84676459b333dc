// Which classes a typed text may mean.

/** The classes with that text in their name, those that begin with it first. @param {readonly string[]} classes @param {string} text */
export const matching = (classes, text) => {
  const low = text.toLowerCase();
  const found = classes.filter((name) => name.toLowerCase().includes(low));
  /** @param {string} name */
  const begins = (name) => name.toLowerCase().startsWith(low);
  return [...found.filter(begins), ...found.filter((name) => !begins(name))];
};
/** What Enter takes: the class of that name, else the first that begins so, else a new one. @param {readonly string[]} classes @param {string} text */
export const meant = (classes, text) => {
  const found = matching(classes, text);
  const low = text.toLowerCase();
  return (
    found.find((name) => name === text) ??
    found.find((name) => name.toLowerCase() === low) ??
    found.find((name) => name.toLowerCase().startsWith(low)) ??
    text
  );
};
