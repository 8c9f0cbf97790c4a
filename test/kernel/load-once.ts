// A process of its own that loads one script: arguments are the runtime directory and the directory of the tools.
import { createCommitter } from '../../src/kernel/committer.ts';
import { createNftTool } from '../../src/kernel/nft-tool.ts';
import { createRun } from '../../src/kernel/run.ts';
import { openRuntimeDirectory } from '../../src/kernel/runtime-directory.ts';
import { createToolPaths } from '../../src/kernel/tool-paths.ts';

const paths = createToolPaths(process.argv[3]);
const directory = await openRuntimeDirectory(process.argv[2]);
const effects = { run: createRun({ paths }), directory, committer: createCommitter(directory, paths) };
await createNftTool(effects).load('add table ip kube-proxy\n');
