/** So much of a secret finds it, in characters; whatever of it follows there is replaced with it. */
const MAX_PREFIX = 256;

interface Node {
  readonly next: Map<string, Node>;
  /** The node of the longest proper suffix that is a start of a secret, too. */
  suffix: Node | undefined;
  /** Along the suffixes, the nearest at which one ends. */
  shorter: Node | undefined;
  /** The secret that ends here, or begins so. */
  secret: string | undefined;
}

/**
 * Replaces secrets wherever they stand in texts, the leftmost one first and there the longest. Each
 * character is looked at a few times at most, whatever the secrets are (Aho and Corasick, 1975): a
 * pattern of alternatives would try all of them at each place.
 *
 * @param known secrets with what takes their place
 */
export function createSecretReplacer(
  known: ReadonlyMap<string, string>,
): (text: string) => string {
  if (known.size === 0) return (text) => text;
  const root = automatonOf(known.keys());
  return (text) => {
    const max = secretsByStart(root, text);
    let clean = "";
    let done = 0;
    for (const [start, secret] of [...max].sort(([one], [other]) => one - other)) {
      if (start < done) continue;
      let length = Math.min(secret.length, MAX_PREFIX);
      while (length < secret.length && text[start + length] === secret[length]) length++;
      clean += text.slice(done, start) + (known.get(secret) ?? "");
      done = start + length;
    }
    return clean + text.slice(done);
  };
}

function newNode(): Node {
  return { next: new Map(), suffix: undefined, shorter: undefined, secret: undefined };
}

function automatonOf(secrets: Iterable<string>): Node {
  const root = newNode();
  for (const secret of secrets) {
    let node = root;
    for (const unit of unitsOf(secret, MAX_PREFIX)) {
      const next = node.next.get(unit) ?? newNode();
      node.next.set(unit, next);
      node = next;
    }
    // Of two that begin alike, the longer takes what is there of either.
    if (secret.length > (node.secret?.length ?? 0)) node.secret = secret;
  }
  const level = [root];
  for (const node of level) {
    for (const [unit, next] of node.next) {
      next.suffix = node === root ? root : follow(node.suffix ?? root, unit);
      next.shorter = next.suffix.secret === undefined ? next.suffix.shorter : next.suffix;
      level.push(next);
    }
  }
  return root;
}

/** Where in a text secrets begin, and the longest that begins there. */
function secretsByStart(root: Node, text: string): Map<number, string> {
  const max = new Map<number, string>();
  let node = root;
  let end = 0;
  for (const unit of unitsOf(text, text.length)) {
    end++;
    node = follow(node, unit);
    let found = node.secret === undefined ? node.shorter : node;
    for (; found !== undefined; found = found.shorter) {
      // A later end of the same start is that of a longer one.
      if (found.secret !== undefined) {
        max.set(end - Math.min(found.secret.length, MAX_PREFIX), found.secret);
      }
    }
  }
  return max;
}

/** Goes back along the suffixes no further than it went forward before. */
function follow(from: Node, unit: string): Node {
  let node: Node | undefined = from;
  while (node !== undefined) {
    const next = node.next.get(unit);
    if (next !== undefined) return next;
    if (node.suffix === undefined) return node;
    node = node.suffix;
  }
  return from;
}

/** UTF-16 code units, halves of surrogate pairs too. */
function* unitsOf(text: string, max: number): Iterable<string> {
  for (let at = 0; at < Math.min(text.length, max); at++) yield text.charAt(at);
}
