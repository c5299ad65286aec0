// @ts-check
/**
 * A request as a command and as programs, with each language's own library alone. The token isn't
 * in them: it comes from the environment, so that a sample can be passed on.
 *
 * @module
 */

/**
 * @typedef {object} SampleRequest
 * @property {string} method in upper case
 * @property {string} url
 * @property {readonly (readonly [name: string, value: string])[]} headers
 * @property {boolean} hasToken
 * @property {string | undefined} body
 */

/** The variable with the token. */
const VARIABLE = "LOTLINE_TOKEN";

/**
 * By the name that the page shows.
 *
 * @type {Readonly<Record<string, (request: SampleRequest) => string>>}
 */
export const SAMPLES = {
  curl: asCurl,
  JavaScript: asJavaScript,
  Python: asPython,
  Go: asGo,
  Java: asJava,
};

/** @param {SampleRequest} request */
function asCurl({ method, url, headers, hasToken, body }) {
  const verb = method === (body === undefined ? "GET" : "POST") ? "" : `-X ${method} `;
  return [
    `curl ${verb}${forShell(url)}`,
    ...headers.map(([name, value]) => `-H ${forShell(`${name}: ${value}`)}`),
    ...hasToken ? [`-H "Authorization: Bearer $${VARIABLE}"`] : [],
    ...body === undefined ? [] : [`--data-raw ${forShell(body)}`],
  ].join(" \\\n  ") + "\n";
}

/** @param {string} text */
const forShell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** JSON's spelling of text is also JavaScript's, Python's, Go's and Java's. @param {string} text */
const quoted = (text) => JSON.stringify(text);

/** @param {SampleRequest} request */
function asJavaScript({ method, url, headers, hasToken, body }) {
  const lines = headers.map(([name, value]) => `${quoted(name)}: ${quoted(value)},`);
  if (hasToken) lines.push(`"Authorization": \`Bearer \${process.env.${VARIABLE}}\`,`);
  return `const response = await fetch(${quoted(url)}, {
  method: ${quoted(method)},
  headers: {${block(lines, "    ", "\n  ")}},
${body === undefined ? "" : `  body: ${javaScriptText(body)},\n`}});
console.log(response.status, await response.text());
`;
}

/** @param {string} text */
const javaScriptText = (text) =>
  `\`${text.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${")}\``;

/** @param {SampleRequest} request */
function asPython({ method, url, headers, hasToken, body }) {
  const lines = headers.map(([name, value]) => `${quoted(name)}: ${quoted(value)},`);
  if (hasToken) lines.push(`"Authorization": "Bearer " + os.environ[${quoted(VARIABLE)}],`);
  const data = body === undefined ? "" : `    data=${pythonText(body)}.encode(),\n`;
  return `${hasToken ? "import os\n" : ""}import urllib.error
import urllib.request

request = urllib.request.Request(
    ${quoted(url)},
    method=${quoted(method)},
    headers={${block(lines, "        ", "\n    ")}},
${data})
try:
    with urllib.request.urlopen(request) as response:
        print(response.status, response.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
`;
}

/** @param {string} text */
const pythonText = (text) =>
  text.includes('"""') || text.endsWith('"') || text.endsWith("\\")
    ? quoted(text)
    : `r"""${text}"""`;

/** @param {SampleRequest} request */
function asGo({ method, url, headers, hasToken, body }) {
  const packages = ["fmt", "io", "net/http"];
  if (hasToken) packages.push("os");
  if (body !== undefined) packages.push("strings");
  const lines = headers.map(([name, value]) =>
    `request.Header.Set(${quoted(name)}, ${quoted(value)})`
  );
  if (hasToken) {
    lines.push(`request.Header.Set("Authorization", "Bearer "+os.Getenv(${quoted(VARIABLE)}))`);
  }
  const reader = body === undefined ? "nil" : `strings.NewReader(${goText(body)})`;
  return `package main

import (${block(packages.map(quoted), "\t", "\n")})

func main() {
	request, err := http.NewRequest(${quoted(method)}, ${quoted(url)}, ${reader})
	if err != nil {
		panic(err)
	}
${lines.map((line) => `\t${line}\n`).join("")}	response, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println(response.StatusCode, string(body))
}
`;
}

/** @param {string} text */
const goText = (text) => /[`\r]/.test(text) ? quoted(text) : `\`${text}\``;

/** @param {SampleRequest} request */
function asJava({ method, url, headers, hasToken, body }) {
  const publisher = body === undefined ? "noBody()" : `ofString(${javaText(body)})`;
  const lines = headers.map(([name, value]) => `.header(${quoted(name)}, ${quoted(value)})`);
  if (hasToken) {
    lines.push(`.header("Authorization", "Bearer " + System.getenv(${quoted(VARIABLE)}))`);
  }
  lines.push(`.method(${quoted(method)}, HttpRequest.BodyPublishers.${publisher})`, ".build();");
  return `import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Example {
    public static void main(String[] args) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(${quoted(url)}))${
    block(lines, "            ", "\n")
  }        // The service speaks HTTP/1.1; Java would begin with HTTP/2.
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        HttpResponse<String> response =
            client.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.body());
    }
}
`;
}

/** A text block, which Java 15 and later read. @param {string} text */
function javaText(text) {
  if (text.endsWith('"')) return quoted(text);
  const escaped = text.replaceAll("\\", "\\\\").replaceAll('"""', '\\"""');
  return `"""\n${escaped}"""`;
}

/**
 * Lines with an indent, and what stands after them.
 *
 * @param {readonly string[]} lines
 * @param {string} indent
 * @param {string} end
 */
const block = (lines, indent, end) =>
  lines.length === 0 ? end.trim() : lines.map((line) => `\n${indent}${line}`).join("") + end;
