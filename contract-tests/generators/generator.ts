/**
 * A command line. It runs in the generator's work folder, which holds the document; programs of its
 * tools are found by their name.
 */
export type Command = readonly string[];

/** The published documents: the contract, and what is made of it for tools that know only 3.0. */
export type DocumentName = "openapi.json" | "openapi-3.0.json";

/** Programs and packages that are installed once, into a folder of their own. */
export interface Tools {
  /** Where they are: a folder below `.data/generators/tools`. */
  readonly folder: string;
  /** Files with the pinned packages, which are copied there first. */
  readonly files: readonly string[];
  /** Installs them; runs in the folder. */
  readonly commands: readonly Command[];
}

/** A program that makes a client from the document, and a small program that uses the client. */
export interface Generator {
  /** As its users call it; also the name of its folder here. */
  readonly name: string;
  /** Of the client, such as `TypeScript`. */
  readonly language: string;
  /** Pinned: the same everywhere. */
  readonly version: string;
  readonly document: DocumentName;
  /** Whether it is a test: it takes few seconds of a processor, and shows what no other test does. */
  readonly isQuick: boolean;
  /** Installed before the steps, unless they are there already. */
  readonly install: readonly Tools[];
  /** Makes the client, with the generator's defaults. */
  readonly generate: readonly Command[];
  /** Compiles the client and the program, or checks their types. */
  readonly compile?: readonly Command[];
  /** Runs the program; what it prints is compared with the transcript. */
  readonly run?: Command;
  /** Why the client is generated and no more. */
  readonly generatedOnly?: string;
}
