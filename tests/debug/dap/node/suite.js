// The adapter, driven by the client that Microsoft tests debug adapters with. test_node.py runs this, with
// PYTHON and PATIENCE (seconds) set, and validates every message that arrived here (DAP_LOG) against the
// protocol's schema.
"use strict";

const assert = require("assert");
const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const { afterEach, beforeEach, test } = require("node:test");
const { DebugClient } = require("@vscode/debugadapter-testsupport");

const PYTHON = process.env.PYTHON;
const PROGRAMS = path.join(__dirname, "..", "programs");
const STRIPES = path.join(PROGRAMS, "stripes.py");
const TINY = path.join(PROGRAMS, "tiny.py");
const NAN = path.join(PROGRAMS, "nan.py");
const HOOK = path.join(PROGRAMS, "hook.py");
const THREAD = { threadId: 1 };
const PATIENCE = 1000 * Number(process.env.PATIENCE); // milliseconds

let client;

function listenTo(client) {
  client.defaultTimeout = PATIENCE; // of its assertions
  // The client's own timers stay behind when their event has come, and keep node from ending.
  client.waitForEvent = (name) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no event '${name}' came`)), PATIENCE);
      client.once(name, (event) => {
        clearTimeout(timer);
        resolve(event);
      });
    });
  const dispatch = client.dispatch.bind(client);
  client.dispatch = (body) => {
    fs.appendFileSync(process.env.DAP_LOG, JSON.stringify(JSON.parse(body)) + "\n");
    dispatch(body);
  };
  return client;
}

beforeEach(async () => {
  client = listenTo(new DebugClient(PYTHON, path.join(__dirname, "adapter.py"), "tinygrad-cnn"));
  await client.start();
});

afterEach(() => client && client.stop());

function lineOf(file, text) {
  return fs.readFileSync(file, "utf8").split("\n").findIndex((line) => line.includes(text)) + 1;
}

/** initialize, launch, the configuration, configurationDone. */
async function launch(args, configure = async () => {}) {
  await Promise.all([
    client.waitForEvent("initialized").then(configure).then(() => client.configurationDoneRequest()),
    client.launch({ program: STRIPES, ...args }),
  ]);
}

/** Launch, and the first stop. */
async function launchAndStop(args, configure) {
  const stop = stopped();
  await launch(args, configure);
  return stop;
}

/** The next stop: the event's body with the frame on top. */
async function stopped() {
  const { body } = await client.waitForEvent("stopped");
  const { body: stack } = await client.stackTraceRequest(THREAD);
  return { ...body, frame: stack.stackFrames[0], frames: stack.stackFrames };
}

/** Ask for a move, and wait for the stop that follows. */
async function go(move) {
  const [stop] = await Promise.all([stopped(), move]);
  return stop;
}

async function scope(stop, name) {
  const { body } = await client.scopesRequest({ frameId: stop.frame.id });
  return body.scopes.find((one) => one.name === name).variablesReference;
}

async function variables(reference, page = {}) {
  const { body } = await client.variablesRequest({ variablesReference: reference, ...page });
  return body.variables;
}

async function evaluate(expression, context = "watch") {
  const { body } = await client.evaluateRequest({ expression, context });
  return body.result;
}

const functions = (...names) => () =>
  client.setFunctionBreakpointsRequest({ breakpoints: names.map((one) => (typeof one === "string" ? { name: one } : one)) });

test("initialize tells the capabilities", async () => {
  const { body } = await client.initializeRequest();
  for (const name of ["supportsStepBack", "supportsFunctionBreakpoints", "supportsDataBreakpoints", "supportsGotoTargetsRequest"])
    assert.strictEqual(body[name], true, name);
  assert.ok(body.exceptionBreakpointFilters.some((filter) => filter.filter === "nan"));
});

test("a program runs to its end", async () => {
  await Promise.all([client.configurationSequence(), client.launch({ program: TINY }), client.waitForEvent("terminated")]);
});

test("the program's prints are output", async () => {
  // Both listened for before the launch: a short program's last events may arrive in one piece.
  const [output, terminated] = [client.waitForEvent("output"), client.waitForEvent("terminated")];
  await launch({});
  assert.match((await output).body.output, /^step 0: loss/);
  await terminated;
});

test("stopOnEntry stops at the first node", async () => {
  const stop = await launchAndStop({ stopOnEntry: true });
  assert.strictEqual(stop.reason, "entry");
  assert.strictEqual(await evaluate("step"), "1");
});

test("a line breakpoint is hit", async () => {
  await client.hitBreakpoint(
    { program: STRIPES },
    { path: STRIPES, line: lineOf(STRIPES, "self.conv2(x)"), verified: false },
  );
});

test("a line breakpoint becomes verified when a node is there", async () => {
  const line = lineOf(STRIPES, "self.conv2(x)");
  const changed = client.waitForEvent("breakpoint");
  await launchAndStop({}, () => client.setBreakpointsRequest({ source: { path: STRIPES }, breakpoints: [{ line }] }));
  const { body } = await changed;
  assert.deepStrictEqual([body.reason, body.breakpoint.verified, body.breakpoint.line], ["changed", true, line]);
});

test("a line breakpoint with a condition, a hit condition and a log message", async () => {
  const line = lineOf(STRIPES, "self.conv2(x)");
  const stop = await launchAndStop({}, () =>
    client.setBreakpointsRequest({
      source: { path: STRIPES },
      breakpoints: [{ line, condition: "op == 'correlate'", hitCondition: "2" }],
    }),
  );
  assert.strictEqual(stop.frame.name, "∂ correlate.backward · conv2");
  await client.setBreakpointsRequest({ source: { path: STRIPES }, breakpoints: [{ line, logMessage: "norm {norm > 0}" }] });
  const [log] = await Promise.all([client.assertOutput("console", "norm True"), client.continueRequest(THREAD)]);
  assert.ok(log);
});

test("function breakpoints are selectors and may have conditions", async () => {
  let stop = await launchAndStop({}, functions("module:fc", { name: "relu", condition: "shape[1] == 4" }));
  assert.strictEqual(stop.reason, "function breakpoint");
  assert.strictEqual(stop.frame.moduleId, "fc");
  await functions({ name: "relu", condition: "shape[1] == 4" })();
  stop = await go(client.continueRequest(THREAD));
  assert.strictEqual(stop.frame.line, lineOf(STRIPES, "self.conv1(x)"));
});

test("a data breakpoint stops behind the write of a gradient", async () => {
  await launchAndStop({ stopOnEntry: true });
  const { body: info } = await client.dataBreakpointInfoRequest({ name: "conv2.weight.grad" });
  await client.setDataBreakpointsRequest({ breakpoints: [{ dataId: info.dataId, condition: "norm > 0" }] });
  const stop = await go(client.continueRequest(THREAD));
  assert.strictEqual(stop.reason, "data breakpoint");
  assert.match(await evaluate("model.conv2.weight.grad"), /norm/);
});

test("exception breakpoints stop where a NaN is born and where a hook raises", async () => {
  let stop = await launchAndStop({ program: NAN }, () =>
    client.setExceptionBreakpointsRequest({ filters: [], filterOptions: [{ filterId: "nan", condition: "op == 'log'" }] }),
  );
  assert.strictEqual(stop.reason, "exception");
  const { body: info } = await client.exceptionInfoRequest(THREAD);
  assert.strictEqual(info.exceptionId, "nan");
  assert.match(info.description, /x = 0/);
  await client.stop();

  client = listenTo(new DebugClient(PYTHON, path.join(__dirname, "adapter.py"), "tinygrad-cnn"));
  await client.start();
  stop = await launchAndStop({ program: HOOK }, () => client.setExceptionBreakpointsRequest({ filters: ["raised"] }));
  assert.deepStrictEqual([stop.reason, stop.text], ["exception", "ValueError: no such luck"]);
});

test("next, stepBack and stepOut walk the nodes", async () => {
  const first = await launchAndStop({ breakOn: ["module:conv2"] });
  await evaluate("cl", "repl");
  const second = await go(client.nextRequest(THREAD));
  assert.notStrictEqual(second.frame.name, first.frame.name);
  const back = await go(client.stepBackRequest(THREAD));
  assert.strictEqual(back.frame.name, first.frame.name);
  const out = await go(client.stepOutRequest(THREAD));
  assert.strictEqual(out.frame.name, "∂ max_pool.backward");
});

test("stepIn goes into the parts of a composite and stepOut leaves them", async () => {
  const stop = await launchAndStop({ breakOn: ["op:cross_entropy"] });
  await evaluate("cl", "repl");
  const { body } = await client.stepInTargetsRequest({ frameId: stop.frame.id });
  assert.ok(body.targets.length >= 2);
  const inside = await go(client.stepInRequest({ ...THREAD, targetId: body.targets[0].id }));
  assert.ok(inside.frames.some((frame) => frame.name === stop.frame.name));
  assert.notStrictEqual(inside.frame.name, stop.frame.name);
  const out = await go(client.stepOutRequest(THREAD));
  assert.ok(!out.frames.some((frame) => frame.name === stop.frame.name));
});

test("reverseContinue goes to the breakpoint before", async () => {
  const first = await launchAndStop({}, functions("max_pool", "op:relu"));
  await go(client.continueRequest(THREAD));
  const back = await go(client.reverseContinueRequest(THREAD));
  assert.strictEqual(back.frame.name, first.frame.name);
});

test("variables come in scopes and pages", async () => {
  const stop = await launchAndStop({ breakOn: ["op:relu"] });
  const { body } = await client.scopesRequest({ frameId: stop.frame.id });
  assert.deepStrictEqual(body.scopes.map((one) => one.name), ["Upstream", "Local", "Downstream", "Saved", "Formula", "Stats"]);
  const [g] = await variables(await scope(stop, "Upstream"));
  assert.strictEqual(g.indexedVariables, 8);
  const page = await variables(g.variablesReference, { filter: "indexed", start: 6, count: 5 });
  assert.deepStrictEqual(page.map((one) => one.name), ["[6]", "[7]"]);
});

test("setVariable and setExpression edit gradients", async () => {
  const stop = await launchAndStop({ program: TINY, breakOn: ["op:relu"] });
  const reference = await scope(stop, "Upstream");
  const { body } = await client.setVariableRequest({ variablesReference: reference, name: "∂L/∂y", value: "g * 0 + 2" });
  assert.match(body.value, /2/);
  assert.strictEqual(await evaluate("float(g.max())"), "2");
  await client.customRequest("setExpression", { expression: "g[0, 1]", value: "5" });
  assert.strictEqual(await evaluate("float(g[0, 1])"), "5");
  await assert.rejects(client.customRequest("setExpression", { expression: "1 + 1", value: "5" }));
});

test("evaluate knows expressions and, in the console, the terminal's commands", async () => {
  await launchAndStop({ stopOnEntry: true });
  assert.strictEqual(await evaluate("1 + step", "hover"), "2");
  assert.match(await evaluate("where", "repl"), /stripes\.py/);
  const moved = await go(evaluate("until op:relu", "repl"));
  assert.strictEqual(moved.frame.name, "∂ relu.backward");
  const { body } = await client.completionsRequest({ text: "goto con", column: 9 });
  assert.ok(body.targets.some((target) => target.label === "conv2"));
  await assert.rejects(evaluate("no_such_name"));
});

test("goto jumps to the nodes of a line", async () => {
  await launchAndStop({ stopOnEntry: true });
  const line = lineOf(STRIPES, "self.conv1(x)");
  const { body } = await client.gotoTargetsRequest({ source: { path: STRIPES }, line });
  const stop = await go(client.gotoRequest({ ...THREAD, targetId: body.targets[0].id }));
  assert.deepStrictEqual([stop.reason, stop.frame.line], ["goto", line]);
});

test("restartFrame undoes the edits of a node", async () => {
  const stop = await launchAndStop({ breakOn: ["op:relu"] });
  const before = await evaluate("norm");
  await evaluate("edit g = 3", "repl");
  await go(client.restartFrameRequest({ frameId: stop.frame.id }));
  assert.strictEqual(await evaluate("norm"), before);
});

test("the modules and the threads are told", async () => {
  await launchAndStop({ breakOn: ["op:relu"] });
  const { body: modules } = await client.modulesRequest({});
  assert.deepStrictEqual(modules.modules.map((one) => one.id), ["Net", "conv1", "conv2", "fc"]);
  const { body: threads } = await client.threadsRequest();
  assert.match(threads.threads[0].name, /^backward · step \d+ · loss 0\.\d+$/);
});

test("pause stops a program that runs", async () => {
  await launch({ program: path.join(PROGRAMS, "endless.py") });
  const stop = await go(client.pauseRequest(THREAD));
  assert.strictEqual(stop.reason, "pause");
});

test("terminate ends a program", async () => {
  await launchAndStop({ stopOnEntry: true });
  await Promise.all([client.waitForEvent("terminated"), client.terminateRequest()]);
});

test("disconnect at a stop ends the adapter", async () => {
  await launchAndStop({ stopOnEntry: true });
  const exited = new Promise((resolve) => client._adapterProcess.on("exit", resolve));
  await client.disconnectRequest();
  assert.strictEqual(await exited, 0);
  client = null;
});

test("unknown and untimely requests are refused", async () => {
  await assert.rejects(client.threadsRequest());
  await client.initializeRequest();
  await assert.rejects(client.nextRequest(THREAD));
  await assert.rejects(client.customRequest("noSuchRequest"));
  assert.strictEqual((await client.threadsRequest()).body.threads.length, 1);
});

test("a running program is attached to, stopped and left", async () => {
  const program = spawn(PYTHON, [path.join(PROGRAMS, "attachable.py")], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const said = readline.createInterface({ input: program.stdout })[Symbol.asyncIterator]();
    const [port, token] = (await said.next()).value.split(" ");
    const attached = listenTo(new DebugClient("", "", "tinygrad-cnn"));
    await attached.start(Number(port));
    const stop = attached.waitForEvent("stopped");
    await Promise.all([
      attached.waitForEvent("initialized").then(() => attached.configurationDoneRequest()),
      attached.initializeRequest().then(() => attached.attachRequest({ token, stopOnEntry: true })),
    ]);
    assert.strictEqual((await stop).body.reason, "entry");
    await attached.disconnectRequest();
    assert.strictEqual((await said.next()).value, "[4.0, 8.0]");
  } finally {
    program.kill();
  }
});

test("an unmodified training script is debugged in its second convolution", async () => {
  const stop = await launchAndStop({}, functions({ name: "module:conv2", condition: "op == 'correlate'" }));
  assert.strictEqual(stop.frame.name, "∂ correlate.backward · conv2");
  const handed = await variables(await scope(stop, "Downstream"));
  assert.ok(handed.some((one) => one.value.includes("conv2.weight")));
  await go(client.stepBackRequest(THREAD));
  await functions()();
  await Promise.all([client.waitForEvent("terminated"), client.continueRequest(THREAD)]);
});

