"""F1 on the same test splits as others have published them."""

# Ditto: Li et al. 2020, "Deep entity matching with pre-trained language models". R-SupCon: Peeters and Bizer 2022.
PUBLISHED_F1 = {
    "abt_buy": {"Ditto": 89.33, "R-SupCon": 94.29},
    "amazon_google": {"Ditto": 75.58, "R-SupCon": 79.28},
    "wdc_computers": {"Ditto, small training split": 80.76, "Ditto, largest training split": 95.45},
}
