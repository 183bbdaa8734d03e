#!/bin/sh
# Registers what a private network needs; without it the app cannot be made, and the error does not say why.
set -eu

[ "${VNET_ENABLED:-false}" = true ] || exit 0
if ! command -v az >/dev/null; then
  echo 'The Azure CLI (az) is not here. See that the provider Microsoft.App is registered in the subscription.'
  exit 0
fi
# Without a subscription named, az takes the one that it is set to.
az provider register --namespace Microsoft.App ${AZURE_SUBSCRIPTION_ID:+--subscription "$AZURE_SUBSCRIPTION_ID"} --wait
