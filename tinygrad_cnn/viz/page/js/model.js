/* The description as read from JSON → linked objects: boxes in boxes, with edges between nodes.
 *
 * A box is a node of the graph or a module (with the boxes directly in it). The only file that knows the
 * description's field names for structure; it copies nothing of the numbers. Everything else reads `Model`.
 */
'use strict';

const Model = (() => {
  /** Where more boxes than this lie side by side, consecutive ones are put into groups. */
  const CROWD = 160;
  const GROUP = 50;
  let made = 0; // numbers the modules: keys must not depend on names from outside

  function build(description) {
    const modules = new Map();
    const root = moduleBox({ path: '', name: description.title || 'model', cls: '' });
    modules.set('', root);
    for (const record of description.modules || []) {
      if (record.path === '') Object.assign(root, { record, cls: record.cls || '' });
      else modules.set(record.path, moduleBox(record));
    }
    for (const record of description.modules || []) {
      const box = modules.get(record.path);
      if (box !== root) adopt(modules.get(record.parent || '') || root, box);
    }

    const nodes = (description.nodes || []).map((record, order) => nodeBox(record, order));
    const byId = new Map(nodes.map((node) => [node.id, node]));
    for (const node of nodes) adopt(modules.get(node.record.module || '') || root, node);

    const edges = [];
    const edgeById = new Map();
    for (const record of description.edges || []) {
      const from = byId.get(record.from);
      const to = byId.get(record.to);
      if (!from || !to) continue;
      const edge = { id: record.id, index: record.index || 0, number: edges.length, record, from, to };
      edges.push(edge);
      edgeById.set(edge.id, edge);
      from.outs.push(edge);
      to.ins.push(edge);
    }

    const steps = [];
    for (const record of description.steps || []) {
      const node = byId.get(record.node);
      if (!node) continue;
      const downstream = (record.downstream || []).filter((d) => edgeById.has(d.edge));
      steps.push({ node, record, downstream: downstream.map((d) => ({ ...d, edge: edgeById.get(d.edge) })) });
    }

    prune(root);
    dissolve(root);
    const boxes = new Map();
    const containers = [];
    settle(root, 0, boxes, containers);
    return {
      description, root, nodes, edges, steps, boxes, containers, edgeById, nodeById: byId, modules,
      title: description.title || outputsOf(nodes), horizontal: ['LR', 'RL'].includes(description.direction), flipped: ['BT', 'RL'].includes(description.direction),
      compare: description.kind === 'compare', sides: description.sides || ['A', 'B'],
    };
  }

  /** A graph without a title is that of its outputs. */
  function outputsOf(nodes) {
    const names = nodes.filter((node) => node.record.loss).map((node) => node.label);
    return names.length ? `Graph of ${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}` : 'Graph';
  }

  function moduleBox(record) {
    return {
      isModule: true, key: `m${(made += 1)}`, path: record.path, name: record.name || record.path || 'model',
      cls: record.cls || '', record, parent: null, children: [], depth: 0, size: 0,
    };
  }

  function nodeBox(record, order) {
    return {
      isModule: false, key: `n${order}`, id: record.id, order, record, parent: null, depth: 0,
      label: record.label || record.name || record.op, ins: [], outs: [], size: 1,
    };
  }

  function adopt(parent, box) {
    for (let up = parent; up; up = up.parent) if (up === box) return; // a module cannot lie inside itself
    box.parent = parent;
    parent.children.push(box);
  }

  /** Modules without any node in them draw nothing: leave them out. */
  function prune(box) {
    box.children = box.children.filter((child) => {
      if (child.isModule) prune(child);
      return !child.isModule || child.children.length > 0;
    });
  }

  /** Stages that only hold other modules in a row (a `Sequential` of blocks) have no frame: their parts stand in its place. */
  function dissolve(root) {
    const stack = [[root, 0]];
    while (stack.length) {
      const [box, depth] = stack.pop();
      box.children = box.children.flatMap((child) => {
        const inner = depth > 0 || Boolean(root.record.path === '' && root.cls);
        const stage = child.isModule && inner && ['Sequential', 'ModuleList'].includes(child.cls) && child.children.length > 1 && child.children.every((part) => part.isModule && part.children.some((deeper) => deeper.isModule));
        if (!stage) return [child];
        for (const part of child.children) Object.assign(part, { parent: box, name: `${child.name}.${part.name}` });
        return child.children;
      });
      for (const child of box.children) if (child.isModule) stack.push([child, depth + 1]);
    }
  }

  /** Of a module: the shape of what it computes last, its own parameters, and whether a connection leads around its inside. */
  function facts(module) {
    if (module.facts) return module.facts;
    const inside = new Set();
    const stack = [module];
    while (stack.length) {
      const box = stack.pop();
      if (box.isModule) stack.push(...box.children);
      else inside.add(box);
    }
    const nodes = [...inside].sort((a, b) => a.order - b.order);
    const made = nodes.filter((node) => !node.record.leaf && node.record.kind !== 'constant');
    const last = made.filter((node) => !node.outs.length || node.outs.some((edge) => !inside.has(edge.to))).pop() || made[made.length - 1];
    // How many nodes lie between each node and what comes into the module, along the shortest way.
    const away = new Map();
    let around = false;
    for (const node of made) {
      const ways = node.ins.map((edge) => (inside.has(edge.from) ? away.get(edge.from) : edge.from.record.parameter || edge.from.record.kind === 'constant' && edge.from.record.leaf ? undefined : 0)).filter((d) => d !== undefined);
      if (!ways.length) continue;
      away.set(node, 1 + Math.min(...ways));
      if (node.record.op === 'add' && ways.length > 1 && Math.max(...ways) - Math.min(...ways) > 1) around = true;
    }
    module.facts = { shape: last ? last.record.shape : null, around, last };
    return module.facts;
  }

  /** Sort, count, group where crowded, and register every box; `first` is the earliest computed node inside. */
  function settle(box, depth, boxes, containers) {
    boxes.set(box.key, box);
    box.depth = depth;
    if (!box.isModule) {
      box.first = box.order;
      return;
    }
    containers.push(box);
    box.size = 0;
    box.first = Infinity;
    let leafFirst = Infinity;
    for (const child of box.children) if (child.isModule) measure(child);
    box.children.sort((a, b) => position(a) - position(b));
    if (box.cls !== 'calls') roll(box);
    if (box.children.length > CROWD) group(box);
    for (const child of box.children) {
      settle(child, depth + 1, boxes, containers);
      box.size += child.size;
      // Parameters are made before the pass: they say nothing about when their module is called.
      if (child.isModule || !child.record.leaf) box.first = Math.min(box.first, child.first);
      else leafFirst = Math.min(leafFirst, child.first);
    }
    if (box.first === Infinity) box.first = leafFirst;
  }

  /** When a module's first computed node comes, looked up before its inside is settled. */
  function measure(module) {
    let first = Infinity;
    let leaf = Infinity;
    const stack = [module];
    while (stack.length) {
      for (const child of stack.pop().children) {
        if (child.isModule) stack.push(child);
        else if (child.record.leaf) leaf = Math.min(leaf, child.order);
        else first = Math.min(first, child.order);
      }
    }
    module.start = first === Infinity ? leaf : first;
  }

  function position(box) {
    if (box.isModule) return box.start;
    // A leaf belongs beside the first node that uses it.
    return box.record.leaf && box.outs.length ? Math.min(...box.outs.slice(0, 64).map((e) => e.to.order)) - 0.5 : box.order;
  }

  /** Calls of one module after another, and like nodes out of one source, become one box: "step × 20". */
  function roll(box) {
    rollAlike(box, true);
    rollAlike(box, false);
  }

  function rollAlike(box, modules) {
    const alike = new Map();
    for (const child of box.children) {
      const key = child.isModule === modules ? likeness(child, box) : null;
      if (key) (alike.get(key) || alike.set(key, []).get(key)).push(child);
    }
    for (const members of alike.values()) {
      if (members.length < (members[0].isModule ? MANY_CALLS : MANY_LIKE) || members.length === box.children.length || !closedUnder(members)) continue;
      const [first] = members;
      const name = first.isModule ? first.name.replace(CALL, '') : first.label;
      const rolled = moduleBox({ path: `${box.path}#${first.key}`, name: `${name} × ${members.length}`, cls: 'calls', open: false });
      rolled.parent = box;
      rolled.children = members;
      box.children.splice(box.children.indexOf(first), 0, rolled);
      const inside = new Set(members);
      box.children = box.children.filter((child) => !inside.has(child));
      for (const member of members) member.parent = rolled;
      measure(rolled);
    }
  }

  const MANY_CALLS = 4;
  const MANY_LIKE = 6;
  const CALL = / \(call \d+\)$/;

  function likeness(box, around) {
    if (box.isModule) return box.record.cls && box.record.cls !== 'group' && box.cls !== 'calls' ? `module ${box.name.replace(CALL, '')} ${box.cls}` : null;
    // Like nodes come from one place and go to one place: each to a call of its own, say.
    const place = (node) => {
      let up = node;
      while (up.parent && up.parent !== around) up = up.parent;
      return up.parent ? up.key : 'outside';
    };
    const from = box.ins.filter((edge) => !edge.from.record.parameter).map((edge) => place(edge.from));
    if (box.record.parameter || box.record.loss || (!from.length && box.record.kind !== 'constant')) return null;
    return `node ${box.record.op} ${box.record.shape} ${from} > ${[...new Set(box.outs.map((edge) => place(edge.to)))]}`;
  }

  /** Whether nothing that leaves these boxes comes back into them: as one box they would use themselves. */
  function closedUnder(members) {
    const inside = new Set();
    const walk = (box) => (box.isModule ? box.children.forEach(walk) : inside.add(box));
    members.forEach(walk);
    const seen = new Set();
    const stack = [...inside].flatMap((node) => node.outs.map((edge) => edge.to)).filter((node) => !inside.has(node));
    while (stack.length) {
      const node = stack.pop();
      if (seen.has(node)) continue;
      seen.add(node);
      for (const { to } of node.outs) {
        if (inside.has(to)) return false;
        stack.push(to);
      }
    }
    return true;
  }

  function group(box) {
    const parts = Math.min(GROUP, Math.ceil(box.children.length / GROUP));
    const length = Math.ceil(box.children.length / parts);
    const groups = [];
    for (let start = 0; start < box.children.length; start += length) {
      const members = box.children.slice(start, start + length);
      const part = moduleBox({
        path: `${box.path}#${start}`, name: groupName(members, start), cls: 'group', open: false,
      });
      part.parent = box;
      part.children = members;
      for (const member of members) member.parent = part;
      measure(part);
      groups.push(part);
    }
    box.children = groups;
  }

  function groupName(members, start) {
    const [first, last] = [members[0], members[members.length - 1]];
    if (first.isModule && last.isModule) return `${Format.clip(first.name, 40)} – ${Format.clip(last.name, 40)}`;
    return `${start + 1} – ${start + members.length}`;
  }

  /** The module path of a box in words, outermost first. */
  function ancestors(box) {
    const path = [];
    for (let up = box.parent; up && up.parent; up = up.parent) path.unshift(up);
    return path;
  }

  /** Of rolled-up calls: the size of the gradient that arrived at what each of them gave. */
  function overCalls(box) {
    return box.children.map((child) => Format.magnitude(((child.isModule ? facts(child).last : child) || { record: {} }).record.gradient));
  }

  return { build, ancestors, facts, overCalls };
})();
