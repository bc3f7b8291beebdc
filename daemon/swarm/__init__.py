"""This node among others: membership, consensus, order, and the exchange of what each lacks."""
