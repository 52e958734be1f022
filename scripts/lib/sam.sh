# shellcheck shell=bash
# Installs the SAM CLI and cfn-lint, at the versions below, and sets `sam_tools` to their folder. To be sourced after tools.sh.

sam_version=1.170.0
cfn_lint_version=1.58.0

sam_tools=${cache:?}/template-tools-sam-$sam_version-cfn-lint-$cfn_lint_version

install_sam_tools() {
    echo "${self:?}: installing aws-sam-cli $sam_version and cfn-lint $cfn_lint_version, once"
    python_environment "$1" "aws-sam-cli==$sam_version" "cfn-lint==$cfn_lint_version"
    mkdir "$1/home"
}

once "$sam_tools" bin/python install_sam_tools
