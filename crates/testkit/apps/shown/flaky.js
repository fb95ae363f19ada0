setTimeout(() => { throw new Error('no connection to the ledger'); }, 15000);
