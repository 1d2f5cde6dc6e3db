"""The executor `submitit`: an ablation's runs as jobs of a Slurm cluster, through submitit."""
