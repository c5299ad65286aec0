import ts from "typescript";

/**
 * The types of `openapi-typescript`, with a type at the top for each schema. An editor shows a type
 * by the name of its declaration. A property of `components["schemas"]` has none, so all its fields
 * would be shown.
 */
export function withNamedSchemas(nodes: readonly ts.Node[]): ts.Node[] {
  const named: ts.TypeAliasDeclaration[] = [];
  const visit = (node: ts.Node): ts.Node => {
    const schema = schemaOf(node);
    if (schema !== undefined) return ts.factory.createTypeReferenceNode(schema);
    const visited = ts.visitEachChild(node, visit, undefined);
    setComment(visited, withoutTags(commentOf(node)));
    return visited;
  };
  const rest = nodes.map(visit).map((node) => {
    const isComponents = ts.isInterfaceDeclaration(node) && node.name.text === "components";
    return isComponents ? moveSchemas(node, named) : node;
  });
  const sentences = new Map(named.map((type) => [type.name.text, sentencesOf(type)]));
  for (const type of named) describeReferences(type, sentences);
  return [...rest, ...named];
}

/** `Lot` for `components["schemas"]["Lot"]`. */
function schemaOf(node: ts.Node): string | undefined {
  if (!ts.isIndexedAccessTypeNode(node) || !ts.isIndexedAccessTypeNode(node.objectType)) return;
  const { objectType: components, indexType: kind } = node.objectType;
  const isComponents = ts.isTypeReferenceNode(components) &&
    ts.isIdentifier(components.typeName) && components.typeName.text === "components";
  return isComponents && textOf(kind) === "schemas" ? textOf(node.indexType) : undefined;
}

function textOf(node: ts.TypeNode): string | undefined {
  const isText = ts.isLiteralTypeNode(node) && ts.isStringLiteral(node.literal);
  return isText ? node.literal.text : undefined;
}

/** `components` with names in place of its schemas, which are added to `named`. */
function moveSchemas(
  components: ts.InterfaceDeclaration,
  named: ts.TypeAliasDeclaration[],
): ts.Node {
  const exported = ts.factory.createModifier(ts.SyntaxKind.ExportKeyword);
  const move = (node: ts.Node): ts.Node => {
    if (!ts.isPropertySignature(node) || node.type === undefined) return node;
    if (!ts.isIdentifier(node.name)) throw new Error("A schema's name is no name of a type");
    const { text } = node.name;
    const type = ts.factory.createTypeAliasDeclaration([exported], text, undefined, node.type);
    setComment(type, commentOf(node));
    named.push(type);
    const reference = ts.factory.createTypeReferenceNode(text);
    return ts.factory.createPropertySignature(undefined, text, undefined, reference);
  };
  const moveAll = (node: ts.Node) => ts.visitEachChild(node, move, undefined);
  return ts.visitEachChild(components, (node) => {
    const isSchemas = ts.isPropertySignature(node) && ts.isIdentifier(node.name) &&
      node.name.text === "schemas";
    return isSchemas ? ts.visitEachChild(node, moveAll, undefined) : node;
  }, undefined);
}

/** Gives each property that has no comment that of its type: editors don't show the type's own. */
function describeReferences(node: ts.Node, sentences: ReadonlyMap<string, string[]>): ts.Node {
  if (ts.isPropertySignature(node) && commentOf(node).length === 0) {
    setComment(node, sentences.get(referenceIn(node.type)) ?? []);
  }
  return ts.visitEachChild(node, (child) => describeReferences(child, sentences), undefined);
}

/** `Lot` for `Lot`, `Lot | null` and `Lot[]`; empty for anything else. */
function referenceIn(type: ts.TypeNode | undefined): string {
  if (type === undefined) return "";
  if (ts.isUnionTypeNode(type)) return referenceIn(type.types[0]);
  if (ts.isArrayTypeNode(type)) return referenceIn(type.elementType);
  return ts.isTypeReferenceNode(type) && ts.isIdentifier(type.typeName) ? type.typeName.text : "";
}

/** A comment's lines, without the marks around them. */
function commentOf(node: ts.Node): string[] {
  const [comment] = ts.getSyntheticLeadingComments(node) ?? [];
  if (comment === undefined) return [];
  const lines = comment.text.split("\n").map((line) => line.replace(/^ ?\* ?/, "").trimEnd());
  const text = lines.join("\n").trim();
  return text === "" ? [] : text.split("\n");
}

function setComment(node: ts.Node, lines: readonly string[]): void {
  ts.setSyntheticLeadingComments(node, undefined);
  if (lines.length === 0) return;
  const text = lines.length === 1
    ? `* ${lines[0]} `
    : `*\n${lines.map((line) => ` * ${line}`.trimEnd()).join("\n")}\n `;
  ts.addSyntheticLeadingComment(node, ts.SyntaxKind.MultiLineCommentTrivia, text, true);
}

/** Sentences in place of their tags, which an editor would show before them. */
function withoutTags(lines: readonly string[]): string[] {
  const plain: string[] = [];
  let isDescription = false;
  for (const line of lines) {
    // Their types say it already.
    if (line === "" || line.startsWith("@enum ") || line.startsWith("Format: ")) continue;
    const begins = line.startsWith("@description");
    if (line.startsWith("@")) isDescription = begins;
    if (begins && plain.length > 0) plain.push("");
    plain.push(isDescription ? line.replace("@description", "").trimStart() : line);
  }
  return plain;
}

/** What a comment says, without its examples. */
function sentencesOf(node: ts.Node): string[] {
  const lines = commentOf(node);
  const examples = lines.findIndex((line) => line.startsWith("@"));
  return examples === -1 ? lines : lines.slice(0, examples);
}
