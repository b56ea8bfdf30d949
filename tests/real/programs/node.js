// SPDX-License-Identifier: BSD-2-Clause
// Node: libuv's pool (files, names, keys), V8's platform threads, worker threads with shared memory
// and Atomics.wait, children, timers.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const assert = require('assert');
const fs = require('fs').promises;
const path = require('path');
const util = require('util');
const crypto = require('crypto');

if (!isMainThread) {
    const cells = new Int32Array(workerData.shared);
    Atomics.wait(cells, 0, 0);
    let junk = [];
    for (let i = 0; i < 20000; i++) {
        Atomics.add(cells, 1, 1);
        junk.push({ i, text: 'x' + i });
        if (junk.length > 5000) junk = [];
    }
    parentPort.postMessage(workerData.me);
} else {
    main().then(() => console.log('all right'), (e) => { console.error(e); process.exit(1); });
}

async function main() {
    const dir = process.argv[2];
    const names = [...Array(200).keys()].map((i) => path.join(dir, 'file' + i));
    await Promise.all(names.map((f, i) => fs.writeFile(f, 'x'.repeat(i * 50))));
    const texts = await Promise.all(names.map((f) => fs.readFile(f, 'utf8')));
    texts.forEach((t, i) => assert.equal(t.length, i * 50));
    await Promise.all(names.map((f) => fs.unlink(f)));

    const derive = util.promisify(crypto.pbkdf2);
    const keys = await Promise.all([...Array(12).keys()].map((i) =>
        derive('word' + i, 'salt', 2000, 32, 'sha256')));
    keys.forEach((k, i) =>
        assert.deepEqual(k, crypto.pbkdf2Sync('word' + i, 'salt', 2000, 32, 'sha256')));
    const zipped = await util.promisify(require('zlib').gzip)(Buffer.alloc(500000, 'abc'));
    assert.equal((await util.promisify(require('zlib').gunzip)(zipped)).length, 500000);
    await require('dns').promises.lookup('localhost');

    const shared = new SharedArrayBuffer(8);
    const workers = [...Array(6).keys()].map((me) =>
        new Promise((yes, no) => {
            const w = new Worker(__filename, { workerData: { shared, me } });
            w.on('message', yes);
            w.on('error', no);
        }));
    const cells = new Int32Array(shared);
    await new Promise((yes) => setTimeout(yes, 100));
    Atomics.store(cells, 0, 1);
    Atomics.notify(cells, 0);
    assert.deepEqual((await Promise.all(workers)).sort(), [0, 1, 2, 3, 4, 5]);
    assert.equal(cells[1], 120000);

    const run = util.promisify(require('child_process').execFile);
    const outs = await Promise.all([...Array(5).keys()].map((i) => run('echo', ['n' + i])));
    outs.forEach((o, i) => assert.equal(o.stdout, 'n' + i + '\n'));
}
