#!/bin/sh
# Says where the service is, how to get a key, and what to try first. Shows no key.
set -eu

cat <<EOF

The service is at $SERVICE_API_URI

Whether it works:
  curl --fail-with-body $SERVICE_API_URI/api/health

A host key, which opens every route:
  KEY=\$(az functionapp keys list --resource-group $AZURE_RESOURCE_GROUP --name $AZURE_FUNCTION_NAME --query functionKeys.default --output tsv)

A first request, which sends nothing anywhere:
  curl --fail-with-body --json @examples/criteria.json -H "x-functions-key: \$KEY" $SERVICE_API_URI/api/criteria/evaluate

EOF
