#!/bin/sh
# Makes the state key in the vault where there is none. The key is never shown, and never an argument.
set -eu

go_on_without() {
  echo "$1, so no state key was made. Until the vault $AZURE_KEY_VAULT_NAME"
  echo 'has a secret STATE-KEY, the service answers 503. docs/deploy.md says how to make one.'
  exit 0
}

for tool in az openssl; do
  command -v "$tool" >/dev/null || go_on_without "There is no $tool here"
done

# The role of whoever deploys takes some minutes to reach the vault.
tries=0
until found=$(az keyvault secret show --vault-name "$AZURE_KEY_VAULT_NAME" --name STATE-KEY --query id --output tsv 2>&1); do
  case $found in
    *SecretNotFound*) break ;;
    *ForbiddenByConnection* | *ForbiddenByFirewall*)
      echo 'The vault cannot be reached from here. Set OPERATOR_IP_ADDRESS to the address of this machine' >&2
      echo '(azd env set OPERATOR_IP_ADDRESS ...), or run this within the network.' >&2
      exit 1
      ;;
    *'az login'*) go_on_without 'Nobody is signed in to az (az login)' ;;
    *ForbiddenByRbac* | *'Caller is not authorized'*) ;;
    *)
      printf '%s\n' "$found" >&2
      echo 'Whether the vault has a state key could not be seen. Run this again once az can read it.' >&2
      exit 1
      ;;
  esac
  tries=$((tries + 1))
  if [ "$tries" -ge 20 ]; then
    printf '%s\n' "$found" >&2
    echo 'The vault could not be read for five minutes. Who deploys needs the role Key Vault Secrets Officer.' >&2
    exit 1
  fi
  sleep 15
done
case $found in
  *SecretNotFound*) ;;
  *) exit 0 ;;
esac

umask 077
key=$(mktemp)
trap 'rm -f "$key"' EXIT
openssl rand -base64 32 >"$key"
az keyvault secret set --vault-name "$AZURE_KEY_VAULT_NAME" --name STATE-KEY --file "$key" --output none
echo "Made the state key in the vault $AZURE_KEY_VAULT_NAME."

# The app has looked for the key already, and would not look again before tomorrow.
site="/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$AZURE_RESOURCE_GROUP/providers/Microsoft.Web/sites/$AZURE_FUNCTION_NAME"
if ! az rest --method post --url "$site/config/configreferences/appsettings/refresh?api-version=2022-03-01" --output none; then
  echo 'The app was not told of it: restart it (az functionapp restart).'
fi
