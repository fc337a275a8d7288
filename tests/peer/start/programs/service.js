console.log('started');
const express = require('express');
const { MongoClient } = require('mongodb');
const { S3Client } = require('@aws-sdk/client-s3');
const { drive } = require('googleapis/build/src/apis/drive');

// Made, as a service would at its start; nothing is asked of them.
const clients = [
  new MongoClient('mongodb://127.0.0.1:1', { monitorCommands: false }),
  new S3Client({ region: 'eu-west-1', credentials: { accessKeyId: 'none', secretAccessKey: 'none' } }),
  drive({ version: 'v3' }),
];
express()
  .get('/', (request, response) => response.send(`ready with ${clients.length} clients\n`))
  .listen(9200, '127.0.0.1');
