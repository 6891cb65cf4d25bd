# Completion of shadowctl for bash, as the program that is installed has it.
eval "$(shadowctl completion bash)"
