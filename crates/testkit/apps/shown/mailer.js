setInterval(() => console.log('3 mails sent'), 2000);
